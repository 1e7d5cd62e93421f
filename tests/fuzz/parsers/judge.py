"""The verdict on one parser and one input."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FrameType
from typing import Any, Final

from relay.errors import Refused
from relay.protocols.http_error import http_error
from tests.fuzz.parsers.parser import Parser, Wrong

SECRET_LETTERS: Final = 12
"""Of a credential, that must not stand in an error. Fewer might stand there by chance."""

MAX_SENTENCE_LETTERS: Final = 2000

CALLS: Final = 2000
CALLS_PER_BYTE: Final = 30
"""How many calls an input may take. The most are of frames without a payload: `websockets` calls many functions for 6
bytes."""

_INVISIBLE: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")
_HEADER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*")

Outcome = tuple[object, ...]


def judge(parser: Parser, data: bytes, pieces: Sequence[bytes] = ()) -> str | None:
    """Return what a parser has done wrong; None: nothing.

    Args:
        parser: reads the input, twice.
        data: the input.
        pieces: the same, cut; it is read in pieces, too, if there are several.
    """
    try:
        whole = _outcome(parser, parser.read, data)
        again = _outcome(parser, parser.read, data)
        if again != whole:
            return f"the second time the same bytes come to something else: {_brief(whole)}, then {_brief(again)}"
        if len(pieces) > 1 and parser.read_pieces is not None:
            cut = _outcome(parser, parser.read_pieces, pieces)
            if cut != whole:
                return f"in pieces the same bytes come to something else: {_brief(whole)}, but {_brief(cut)}"
    except Wrong as wrong:
        return str(wrong)
    return _fault_of_error(parser, data, whole)


def count_calls(parser: Parser, data: bytes) -> int:
    """Return how many functions are called for an input."""
    calls = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        _outcome(parser, parser.read, data)
    finally:
        sys.setprofile(before)
    return calls


def allowed_calls(data: bytes) -> int:
    """Return how many functions may be called for an input."""
    return CALLS + CALLS_PER_BYTE * len(data)


def _outcome(parser: Parser, read: Callable[[Any], Any], given: object) -> Outcome:
    """Return what a parser makes of an input: a value, or one of its errors. Raises `Wrong` for anything else."""
    try:
        return ("value", read(given))
    except parser.errors as error:
        if isinstance(error, Refused):
            return ("error", type(error), error.reason, error.status, tuple(error.headers.items()))
        return ("error", type(error), str(error))
    except Wrong:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the fault that is looked for
        raise Wrong(f"{type(error).__name__} is none of its errors: {str(error)[:300]}") from None


def _fault_of_error(parser: Parser, data: bytes, outcome: Outcome) -> str | None:
    if outcome[0] != "error":
        return None
    sentence = str(outcome[2])
    if len(outcome) > 3 and outcome[3] not in parser.statuses:
        return f"it refuses with {outcome[3]}: {sentence}"
    if parser.for_clients and (fault := _fault_of_sentence(*outcome[2:])) is not None:
        return fault
    for secret in parser.secrets(data):
        for part in (secret[:SECRET_LETTERS], secret[-SECRET_LETTERS:]):
            if _is_secret(part) and part in sentence:
                return f"an error repeats a credential: {sentence}"
    return None


@lru_cache(10_000)
def _fault_of_sentence(
    sentence: str, status: int | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> str | None:
    if (status is not None and not sentence.strip()) or len(sentence) > MAX_SENTENCE_LETTERS:
        return f"an error has no sentence, or a long one: {sentence[:300]!r}"
    if any(unicodedata.category(letter) in _INVISIBLE for letter in sentence):
        return f"the sentence of an error can't be printed: {sentence[:300]!r}"
    if status is not None:
        head, _, body = http_error(status, sentence, dict(headers)).partition(b"\r\n\r\n")
        if body != f"{sentence}\n".encode() or not all(map(_HEADER.fullmatch, head.split(b"\r\n")[1:])):
            return f"the response to an error is malformed: {head!r}"
    return None


def _is_secret(part: str) -> bool:
    """Return whether a part of a credential is one that stands in no sentence by chance."""
    if len(part) < SECRET_LETTERS or not part.isascii() or not part.isprintable() or " " in part:
        return False
    return any(map(str.isdigit, part)) and any(map(str.isalpha, part))


def _brief(outcome: Outcome) -> str:
    return repr(outcome)[:300]

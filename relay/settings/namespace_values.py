"""Namespaces in the settings: how their options are read and checked, all together."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from relay.auth.rights import LETTERS, MAX_PATTERNS, RightsError, read_letters
from relay.namespaces import HISTORY_BYTES, NAMESPACE_RULE, ChannelOptions, NoJson, SlowConsumerPolicy, is_namespace
from relay.redaction import escape_controls
from relay.settings.field import PREFIX
from relay.settings.messages import MessageBytes
from relay.settings.problem import SettingProblem, WrongParts
from relay.settings.report import cut, kind_of
from relay.settings.values import Range, ValueKind, show
from relay.system_error import in_words


def _check_letters(letters: str) -> str:
    try:
        read_letters("", letters)
    except RightsError:
        raise ValueError from None
    return letters


def _check_subscriber_letters(letters: str) -> str:
    if "r" in letters:
        raise ValueError
    return _check_letters(letters)


HistorySize = Annotated[int, Range("integer", 0, 100_000)]
# The bus forgets after a week without a message how far a channel has come.
HistoryTtl = Annotated[float, Range("seconds", 1, 604_800)]
HistoryBytes = Annotated[int, Range("bytes", 1, 2**30)]

_Flag = Annotated[bool, ValueKind("choice", "true|false")]
_Letters = Annotated[str, AfterValidator(_check_letters), ValueKind("rights", f"some of {LETTERS}, each once, or none")]
SubscriberRights = Annotated[
    str, AfterValidator(_check_subscriber_letters), ValueKind("rights", "some of wph, each once, or none")
]

OPTIONS: Final[dict[str, Any]] = {
    "history_size": HistorySize,
    "history_ttl": HistoryTtl,
    "history_bytes": HistoryBytes,
    "positions": _Flag,
    "presence": _Flag,
    "join_leave": _Flag,
    "force_push_join_leave": _Flag,
    "slow_consumer": SlowConsumerPolicy,
    "max_message_bytes": MessageBytes,
    "rights": _Letters,
    "subscriber_rights": SubscriberRights,
    "no_json": NoJson,
    "delta": _Flag,
    "cache": _Flag,
}
"""What may be said of a namespace, and the types of the values; see `ChannelOptions`."""

_STRICT: Final = ConfigDict(strict=True, allow_inf_nan=False)

_READERS: Final[dict[str, TypeAdapter[Any]]] = {
    name: TypeAdapter(kind, config=_STRICT) for name, kind in OPTIONS.items()
}


@dataclass(frozen=True, slots=True)
class NamespacesFile:
    """A file of namespaces, as it was when the settings were read.

    Args:
        path: of the file.
        named: the options of channels, by the names of namespaces.
    """

    path: str
    named: dict[str, ChannelOptions]

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Bounds:
    """What other settings say.

    Args:
        max_message_bytes: RELAY_MAX_MESSAGE_BYTES; None: it can't be used, and is reported already.
        rights: RELAY_RIGHTS.
    """

    max_message_bytes: int | None
    rights: Mapping[str, str] = field(default_factory=dict)

    def largest(self, own: int | None) -> tuple[str, int]:
        """Return what bounds the messages of a channel, and the number of bytes; 0 when it isn't known.

        Args:
            own: its namespace's bound; None: it has none.
        """
        if own is not None and (self.max_message_bytes is None or own <= self.max_message_bytes):
            return "max_message_bytes", own
        return f"{PREFIX}MAX_MESSAGE_BYTES", self.max_message_bytes or 0

    def history_bytes(self, own: int | None = None) -> int:
        """Return how much is kept when nothing is said about it: at least one message of any size; see `largest`."""
        return max(HISTORY_BYTES, self.largest(own)[1])


def read_json(text: str) -> object:
    """Return what JSON says; raises `ValueError` with the reason why it can't be read."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"this can't be read: {error}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_file(path: str) -> object:
    """Return what a file of JSON or TOML says; raises `ValueError` with the reason why it can't be read."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".json", ".toml"):
        raise ValueError("the name of this file ends in neither")
    try:
        text = Path(path).read_text(encoding="utf-8")
        return read_json(text) if suffix == ".json" else tomllib.loads(text)
    except UnicodeDecodeError:
        raise ValueError("this one is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"this one can't be read: {in_words(error)}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"this one can't be read: {error}") from None


def read_namespaces(given: object, variable: str, bounds: Bounds) -> dict[str, ChannelOptions]:
    """Return the options of channels by the names of namespaces.

    Args:
        given: by the names of namespaces objects of options, or `ChannelOptions`.
        variable: where they stand, for problems.
        bounds: what other settings say.

    Raises:
        ValueError: this is no object.
        WrongParts: some of it can't be used; has all problems.
    """
    if not isinstance(given, Mapping):
        raise ValueError("it is not an object")
    problems: list[SettingProblem] = []
    found = {}
    for name, options in given.items():
        if isinstance(options, ChannelOptions):
            options = msgspec.to_builtins(options)
        wrong = list(_problems(str(name), options, bounds))
        problems += (SettingProblem(variable, value, allowed, part=part) for part, value, allowed in wrong)
        if not wrong:
            own = options.get("max_message_bytes")
            found[name] = ChannelOptions(**{"history_bytes": bounds.history_bytes(own), **options})
    if not problems and len(bounds.rights) + len(rights_of(found)) > MAX_PATTERNS:
        raise ValueError(f"at most {MAX_PATTERNS} of them with rights, those in {PREFIX}RIGHTS included")
    if problems:
        raise WrongParts(problems)
    return found


def rights_of(named: Mapping[str, ChannelOptions]) -> dict[str, str]:
    """Return the rights that namespaces give to all clients, by pattern."""
    return {f"{name}:*": options.rights for name, options in named.items() if options.rights is not None}


def _problems(name: str, options: object, bounds: Bounds) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with a namespace: the part, what was given, and what is allowed."""
    part = escape_controls(name)[:100]
    if not is_namespace(name):
        yield part, "this name", NAMESPACE_RULE
    if not isinstance(options, Mapping):
        yield part, _text(options), "an object of options"
        return
    right: dict[str, Any] = {}
    for option, value in options.items():
        if option not in OPTIONS:
            near = difflib.get_close_matches(option, OPTIONS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            yield f"{part}.{escape_controls(option)[:100]}", _text(value), f"one of {', '.join(OPTIONS)}{hint}"
            continue
        try:
            right[option] = _READERS[option].validate_python(value)
        except ValidationError:
            yield f"{part}.{option}", _text(value), str(kind_of(OPTIONS[option]))
    # What is wrong by itself is reported already, and may have been meant to fit.
    unsure = options.keys() - right.keys()
    for option, reason in _conflicts(name, right, unsure, bounds):
        yield f"{part}.{option}", _text(options[option]), f"{kind_of(OPTIONS[option])} ({reason})"


def _conflicts(name: str, options: Mapping[str, Any], unsure: set[str], bounds: Bounds) -> Iterator[tuple[str, str]]:
    """Yield options that don't fit others, and why not.

    Args:
        name: of the namespace.
        options: that are right by themselves.
        unsure: those that aren't.
        bounds: what other settings say.
    """
    if not options.get("history_size") and "history_size" not in unsure:
        for option in ("history_ttl", "history_bytes"):
            if option in options:
                yield option, "only with history_size: else the channel keeps no messages"
        if options.get("cache"):
            yield "cache", "only with history_size: else the channel keeps no messages"
        if options.get("delta") and not options.get("positions") and "positions" not in unsure:
            yield "delta", "only with history_size or positions: else a client may lack the previous message"
    if options.get("join_leave") and not options.get("presence") and "presence" not in unsure:
        yield "join_leave", "only with presence: else gateways don't know who is there"
    if options.get("force_push_join_leave") and not options.get("join_leave") and "join_leave" not in unsure:
        yield "force_push_join_leave", "only with join_leave: else no client is told"
    if options.get("history_size") and options.get("slow_consumer", "close") != "close":
        yield "slow_consumer", "with history_size only close: a closed client comes back, and misses nothing"
    own, most = options.get("max_message_bytes"), bounds.max_message_bytes
    if own is not None and most is not None and own > most:
        yield "max_message_bytes", f"at most {PREFIX}MAX_MESSAGE_BYTES, which is {most}"
    source, largest = bounds.largest(own)
    if options.get("history_bytes", largest) < largest and "max_message_bytes" not in unsure:
        yield "history_bytes", f"at least {source}, which is {largest}"
    if "rights" in options and f"{name}:*" in bounds.rights:
        yield "rights", f"not together with {name}:* in {PREFIX}RIGHTS"


def _text(value: object) -> str:
    """Return a refused value, as it is written in JSON."""
    return cut(show(json.dumps(value, default=str, ensure_ascii=False)))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON; refuse a key that stands twice, of which Python takes the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _refuse_constant(name: str) -> object:
    """Refuse NaN and infinity, which Python takes for numbers, and JSON does not."""
    raise ValueError(f"{name} is not a number")

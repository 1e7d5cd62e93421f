"""Compares what the relay answers with what Centrifugo does, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from tests.centrifuge.oracle.differences import DIFFERENCES, Difference
from tests.centrifuge.oracle.recording import Transcripts

ABSENT: Final = "<absent>"


@dataclass(frozen=True)
class Deviation:
    """A field that isn't the same.

    Args:
        path: of it: format, number of the entry, and names of fields, with dots between them.
        theirs: what Centrifugo says.
        ours: what the relay says.
    """

    path: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.path}: Centrifugo says {self.theirs!r}, the relay {self.ours!r}"


def deviations(theirs: Transcripts, ours: Transcripts) -> list[Deviation]:
    """Return all fields of some transcripts that aren't the same."""
    return list(_walk("", theirs, ours))


def judge(name: str, found: list[Deviation], table: tuple[Difference, ...] = DIFFERENCES) -> list[str]:
    """Return what is wrong with a script's deviations: those that nobody intends, and intended ones that aren't there.

    Args:
        name: theme and name of the script.
        found: its deviations.
        table: the intended ones.
    """
    intended = [difference for difference in table if name in difference.scripts]
    unexpected = [
        str(deviation)
        for deviation in found
        if not any(fnmatchcase(deviation.path, difference.path) for difference in intended)
    ]
    agreements = [
        f"{difference.path}: no difference any more; it was: {difference.reason}"
        for difference in intended
        if not any(fnmatchcase(deviation.path, difference.path) for deviation in found)
    ]
    return unexpected + agreements


def _walk(path: str, theirs: Any, ours: Any) -> Iterator[Deviation]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in theirs | ours:
            yield from _walk(f"{path}.{key}" if path else key, theirs.get(key, ABSENT), ours.get(key, ABSENT))
    elif isinstance(theirs, list) and isinstance(ours, list):
        for number in range(max(len(theirs), len(ours))):
            pair = (values[number] if number < len(values) else ABSENT for values in (theirs, ours))
            yield from _walk(f"{path}.{number}", *pair)
    elif theirs != ours or type(theirs) is not type(ours):
        yield Deviation(path, theirs, ours)

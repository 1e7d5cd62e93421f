"""One input of the fuzzer: what a client sends, in which pieces, and how it ends. Files of them replay a failure."""

from __future__ import annotations

import enum
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


class Ending(enum.Enum):
    """What a client does after its last byte."""

    EOF = "eof"  # closes its side
    RESET = "reset"  # vanishes
    SILENCE = "silence"  # stays, and says nothing more
    PONGS = "pongs"  # stays, and seems to answer pings


class Reading(enum.Enum):
    """When a client takes what is written to it."""

    ALWAYS = "always"
    LATE = "late"  # after its last byte
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Case:
    """One input.

    Args:
        target: what takes it in: see `tests.fuzz.grammar`.
        data: all bytes.
        cuts: where the pieces of the second try end, ascending; the first try sends everything at once.
        ending: what the client does then.
        reading: when it takes what is written to it.
    """

    target: str
    data: bytes
    cuts: tuple[int, ...] = ()
    ending: Ending = Ending.EOF
    reading: Reading = Reading.ALWAYS

    @property
    def pieces(self) -> list[bytes]:
        """The data in pieces."""
        return [self.data[start:end] for start, end in pairwise((0, *self.cuts, len(self.data)))]

    def __str__(self) -> str:
        data = repr(self.data)
        return f"{self.target}, {len(self.data)} bytes, {self.ending.value}: {data[:600]}{'...' * (len(data) > 600)}"


def save(path: Path, cases: Iterable[Case]) -> None:
    """Write inputs to a file, one a line."""
    lines = [
        json.dumps(
            {
                "target": case.target,
                "data": b64encode(case.data).decode(),
                "cuts": case.cuts,
                "ending": case.ending.value,
                "reading": case.reading.value,
            }
        )
        for case in cases
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def load(path: Path) -> Iterator[Case]:
    """Read the inputs of a file."""
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        yield Case(
            entry["target"],
            b64decode(entry["data"]),
            tuple(entry["cuts"]),
            Ending(entry["ending"]),
            Reading(entry["reading"]),
        )

"""Histories in files: one operation a line, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.faults.operations import AnyOperation, History


def write_history(path: Path, history: Iterable[AnyOperation]) -> None:
    """Write a history to a file, over what is there."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb", buffering=1 << 20) as file:
        for operation in history:
            file.write(encode(operation))
            file.write(b"\n")


def read_history(path: Path) -> History:
    """Return the history in a file.

    Raises:
        OSError: the file can't be read.
        ValueError: a line is no operation; it says which line.
    """
    decode = msgspec.json.Decoder(AnyOperation).decode
    history: History = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                history.append(decode(line))
            except msgspec.DecodeError as error:
                raise ValueError(f"line {number} of {path} is no operation: {error}") from error
    return history

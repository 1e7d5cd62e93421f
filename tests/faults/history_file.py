"""Histories in files: one operation a line, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec.structs import force_setattr

from tests.faults.operations import AnyOperation, History, Received


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
    known: dict[str, str] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                operation = decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"line {number} of {path} is no operation: {error}") from error
            if isinstance(operation, Received):
                _share_texts(operation, known)
            history.append(operation)
    return history


def _share_texts(operation: Received, known: dict[str, str]) -> None:
    """Let receipts of one message have the same texts: they are most of a history, and texts most of its memory."""
    for name in ("session", "message", "digest", "position"):
        text = getattr(operation, name)
        if text is not None:
            force_setattr(operation, name, known.setdefault(text, text))

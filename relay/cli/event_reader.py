"""Reads server-sent events as a relay writes them. Pure."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Args:
        kind: its name; `message` for one without a name.
        data: its text.
    """

    kind: str
    data: str

    @property
    def message(self) -> str | bytes | None:
        """The message that it carries; None: none."""
        if self.kind == "message":
            return self.data
        if self.kind not in ("text", "binary"):
            return None
        payload = b64decode(self.data)
        return payload.decode(errors="replace") if self.kind == "text" else payload


class EventReader:
    """Takes a stream in pieces of any size.

    Attributes:
        position: of the last event; None: there was none.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.position: str | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that are complete now."""
        *blocks, self._rest = (self._rest + piece).split(b"\n\n")
        return [event for block in blocks if (event := self._read(block.decode(errors="replace"))) is not None]

    def _read(self, block: str) -> Event | None:
        """Return the event of a block; None: it has no data."""
        kind, data = "message", []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                self.position = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
        return Event(kind, "\n".join(data)) if data else None

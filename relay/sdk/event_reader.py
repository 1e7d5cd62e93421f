"""Reads server-sent events as a relay writes them. Pure."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass

from relay.sdk.errors import MessageTooBig

_SPARE_BYTES = 4096
"""For an event's name, its position, and `data:` lines; see `relay.protocols.sse`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Args:
        kind: its name; `message` for one without a name; empty: no event, but a position alone.
        data: its text.
        position: its own; None: it has none.
    """

    kind: str
    data: str
    position: str | None = None

    @property
    def message(self) -> str | bytes | None:
        """The message that it carries; None: none."""
        if self.kind == "message":
            return self.data
        if self.kind not in ("text", "binary"):
            return None
        payload = b64decode(self.data, validate=True)
        return payload.decode(errors="replace") if self.kind == "text" else payload


class EventReader:
    """Takes a stream in pieces of any size.

    Args:
        max_message_bytes: largest message; None: of any size.

    Attributes:
        too_big: a message is larger than `max_message_bytes`, and nothing more is read; None: none was.
        begun: whether anything has come that is whole, such as the time to wait with which each stream begins.
    """

    def __init__(self, max_message_bytes: int | None = None) -> None:
        self._max_message_bytes = max_message_bytes
        self._rest = bytearray()
        self.too_big: MessageTooBig | None = None
        self.begun = False

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that are complete now; look at `too_big` then."""
        # What was looked through before is not looked through again, but for a line end at its end.
        searched = max(0, len(self._rest) - 1)
        self._rest += piece
        events, start = [], 0
        while (end := self._rest.find(b"\n\n", max(start, searched))) >= 0 and self._fits(end - start):
            block = self._rest[start:end].decode(errors="replace")
            start = end + 2
            self.begun = True
            if (event := self._read(block)) is not None:
                events.append(event)
        del self._rest[:start]
        if not self._fits(len(self._rest) if end < 0 else end - start):
            self.too_big = MessageTooBig(self._max_message_bytes or 0)
        return events

    def _fits(self, size_bytes: int) -> bool:
        limit = self._max_message_bytes
        # In base64 four bytes stand for three.
        return limit is None or size_bytes <= limit * 4 // 3 + _SPARE_BYTES

    def _read(self, block: str) -> Event | None:
        """Return the event of a block, or its position alone; None: it has neither."""
        kind, data, position = "message", [], None
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                position = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
        if data:
            return Event(kind, "\n".join(data), position)
        return None if position is None else Event("", "", position)

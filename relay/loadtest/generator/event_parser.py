"""Parses a stream of server-sent events, as the HTML Living Standard (9.2.6) has it."""

from __future__ import annotations

from typing import Final, NamedTuple

from relay.loadtest.generator.frame_codec import RemoteProtocolError

MAX_EVENT_BYTES: Final = 16 << 20
"""A server that sends a longer event is taken to be broken: no message of a load test is so long."""


class StreamEvent(NamedTuple):
    """One event.

    Args:
        kind: its name, `message` when it has none.
        data: what it carries.
        position: what a browser would send as `Last-Event-ID` after it; empty before the first id.
        own_position: whether the event itself has an id.
    """

    kind: bytes
    data: bytes
    position: str
    own_position: bool


class EventParser:
    """Takes one stream in pieces of any size.

    Attributes:
        position: what a browser would send as `Last-Event-ID`; empty before the first id.
    """

    def __init__(self) -> None:
        self.position = ""
        self._rest = b""
        self._size = 0
        self._clear()

    def feed(self, piece: bytes) -> list[StreamEvent]:
        """Return the events that are complete now.

        Raises:
            RemoteProtocolError: an event has no end.
        """
        # The relay and all servers of note end lines by a line feed, or by both.
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        events = []
        for line in lines:
            text = line.removesuffix(b"\r")
            if text:
                self._field(text)
            elif (event := self._end_block()) is not None:
                events.append(event)
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise RemoteProtocolError("endless event")
        return events

    def _clear(self) -> None:
        self._kind = b""
        self._data: list[bytes] = []
        self._id: str | None = None
        self._size = 0

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self._size += len(line)
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")

    def _end_block(self) -> StreamEvent | None:
        """Return the event that an empty line ends; None for a block without data, which may have an id yet."""
        if self._id is not None:
            self.position = self._id
        event = None
        if self._data:
            event = StreamEvent(self._kind or b"message", b"\n".join(self._data), self.position, self._id is not None)
        self._clear()
        return event

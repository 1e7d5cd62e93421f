"""What bytes from a server say.

A fan-out sends the same bytes to many clients. So what was read once is recognised by its bytes afterwards: of a
thousand equal deliveries one is taken apart, and all are compared with it, byte for byte, by the look-up. That is
what makes checking every delivery cheap.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from relay.loadtest.generator.event import Answer, Broken, Close, Event, Ping, Ready, Strange
from relay.loadtest.generator.frame_codec import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_FRAME_BYTES,
    PING,
    PONG,
    WireError,
    first_frame,
)
from relay.loadtest.generator.payload import MIN_SIZE, filler, find
from relay.loadtest.plan.dialect import Dialect
from relay.loadtest.result.faults import Fault

MAX_REMEMBERED_BYTES: Final = 16 << 20
"""Readings are forgotten past this size, and whenever their times are collected."""

_FIN: Final = 0x80
_SHOWN_BYTES: Final = 80


class Reading:
    """One chunk of a stream.

    Attributes:
        runs: publisher, first and last sequence number of messages that follow each other.
        dues: of each message, ns since the run's start.
        lags: of each message, µs.
        events: everything else, in order.
        rest: the bytes after the last complete frame.
        times: moments of arrival, ns of the monotonic clock, one for each time that this chunk came.
    """

    __slots__ = ("dues", "events", "lags", "rest", "runs", "times")

    def __init__(self) -> None:
        self.runs: list[tuple[int, int, int]] = []
        self.dues: list[int] = []
        self.lags: list[int] = []
        self.events: list[Event] = []
        self.rest = b""
        self.times: list[int] = []


class Said(NamedTuple):
    """What one frame's payload says: publisher, sequence, due and lag of its messages, and events."""

    messages: list[tuple[int, int, int, int]]
    events: list[Event]


class _Runs:
    """The runs of one reading while it is made.

    Attributes:
        lasts: publisher → its latest sequence number.
    """

    __slots__ = ("_firsts", "_runs", "lasts")

    def __init__(self, reading: Reading) -> None:
        self.lasts: dict[int, int] = {}
        self._firsts: dict[int, int] = {}
        self._runs = reading.runs

    def begin(self, publisher: int, sequence: int) -> None:
        """Begin a run, and end the publisher's one before."""
        if publisher in self._firsts:
            self._runs.append((publisher, self._firsts[publisher], self.lasts[publisher]))
        self._firsts[publisher] = self.lasts[publisher] = sequence

    def close(self) -> None:
        """End all runs."""
        self._runs += [(publisher, first, self.lasts[publisher]) for publisher, first in self._firsts.items()]


class Reader:
    """Reads chunks, and remembers them.

    Args:
        run: number of the run; messages of others are foreign.
        size: bytes of a message's payload.
        publishers: number of a publisher → number of its channel.
        dialect: of the server.

    Attributes:
        remembered: bytes → their reading. To be looked at before `read` is called.
        latest: the reading that `recall` returned last; one that is not remembered any more has no bytes.
        latest_data: its bytes.
        full: whether so much is remembered that it is time to collect.
    """

    def __init__(self, run: int, size: int, publishers: dict[int, int], dialect: Dialect) -> None:
        self.remembered: dict[bytes, Reading] = {}
        self.latest = Reading()
        self.latest_data = b""
        self.full = False
        self._bytes = 0
        self._run = run
        self._publishers = publishers
        self._tail = filler(size)
        self._bare = dialect.publish == "{payload}"
        self._said: dict[bytes, Said] = {}
        self._lines: dict[bytes, Said] = {}
        self._answers = [_compile(pattern) for pattern, _ in dialect.answers]
        self._ready = _compile(dialect.ready) if dialect.ready else None
        self._ignore = [_compile(pattern) for pattern in dialect.ignore]

    def recall(self, data: bytes) -> Reading:
        """Return the reading of a chunk, which is taken apart if it isn't known."""
        reading = self.remembered.get(data)
        self.latest = self.read(data) if reading is None else reading
        self.latest_data = data
        return self.latest

    def read(self, data: bytes) -> Reading:
        """Take a chunk apart and remember it; it begins at the beginning of a frame."""
        reading = Reading()
        runs = _Runs(reading)
        try:
            self._cut(data, reading, runs)
        except WireError as error:
            reading.events.append(Broken(str(error)))
        runs.close()
        self.remembered[data] = reading
        self._bytes += len(data)
        self.full = self._bytes > MAX_REMEMBERED_BYTES
        return reading

    def collect(self) -> list[Reading]:
        """Return the readings remembered, with their times, and forget them."""
        readings = list(self.remembered.values())
        self.remembered.clear()
        self.latest_data = b""
        self._said.clear()
        self._lines.clear()
        self._bytes, self.full = 0, False
        return readings

    def _cut(self, data: bytes, reading: Reading, runs: _Runs) -> None:
        """Take all complete frames of a chunk apart.

        Frames of one run mostly have one size, and each comes to many clients. So the next frame is guessed to be as
        long as the one before, and looked up: a hit is a whole known frame, and nothing in it has to be read again.
        """
        said, lasts, dues, lags = self._said, runs.lasts, reading.dues, reading.lags
        fragments: list[bytes] = []
        unfinished = b""
        position = size = 0
        total = len(data)
        while True:
            end = position + size
            content = said.get(data[position:end]) if end <= total and not fragments else None
            if content is None:
                if (frame := first_frame(data, position)) is None:
                    break
                head, payload, end = frame
                size = end - position
                content = None if fragments else said.get(data[position:end])
            if content is None:
                whole = self._special(head, payload, fragments, reading)
                if whole is None:
                    # A message that goes on in the next chunk is read again then, without its control frames.
                    unfinished += data[position:end] if head & 0x0F < CLOSE else b""
                    if len(unfinished) > MAX_FRAME_BYTES:
                        raise WireError(f"message of more than {MAX_FRAME_BYTES} bytes in fragments")
                    position = end
                    continue
                content = self._understand(whole)
                if not unfinished:
                    said[data[position:end]] = content
                unfinished = b""
            position = end
            for publisher, sequence, due, lag in content.messages:
                if lasts.get(publisher) == sequence - 1:
                    lasts[publisher] = sequence
                else:
                    runs.begin(publisher, sequence)
                dues.append(due)
                lags.append(lag)
            if content.events:
                reading.events += content.events
        reading.rest = unfinished + data[position:]

    @staticmethod
    def _special(head: int, payload: bytes, fragments: list[bytes], reading: Reading) -> bytes | None:
        """Take a frame; return the message that it is or completes, None for a control frame or an open fragment."""
        opcode = head & 0x0F
        if head & 0x70:
            raise WireError(f"frame with reserved bits (first byte {head:#04x})")
        if opcode >= CLOSE:
            if not head & _FIN or len(payload) > 125 or opcode > PONG:
                raise WireError(f"bad control frame (first byte {head:#04x})")
            if opcode == PING:
                reading.events.append(Ping(payload))
            elif opcode == CLOSE:
                if len(payload) == 1:
                    raise WireError("close frame with half a code")  # RFC 6455, 5.5.1
                code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 1005
                reading.events.append(Close(code, payload[2:].decode(errors="replace")))
            return None
        if opcode > BINARY or (opcode == CONTINUATION) != bool(fragments):
            raise WireError(f"frame out of order (first byte {head:#04x})")
        if head & _FIN and not fragments:
            return payload
        fragments.append(payload)
        if not head & _FIN:
            return None
        whole = b"".join(fragments)
        fragments.clear()
        return whole

    def _understand(self, payload: bytes) -> Said:
        """Return what a frame says.

        Some servers write several messages into one frame, a line each, and others for each client: so a line that was
        understood once is known in whatever company it comes.
        """
        if self._bare:
            said = self._understand_line(payload)
        else:
            said = Said([], [])
            for line in payload.split(b"\n"):
                if (content := self._lines.get(line)) is None:
                    content = self._lines[line] = self._understand_line(line)
                said.messages.extend(content.messages)
                said.events.extend(content.events)
        if not said.messages and not said.events and not any(pattern.search(payload) for pattern in self._ignore):
            said.events.append(Strange(Fault.UNEXPECTED, show(payload)))
        return said

    def _understand_line(self, line: bytes) -> Said:
        stamps, broken = find(line, self._tail)
        events: list[Event] = [Strange(Fault.FOREIGN, f"damaged: {show(text)}") for text in broken]
        messages = []
        for stamp in stamps:
            if stamp.run != self._run:
                events.append(Strange(Fault.FOREIGN, f"of run {stamp.run:06x}: {show(line)}"))
            elif self._publishers.get(stamp.publisher) != stamp.channel:
                events.append(Strange(Fault.FOREIGN, f"publisher {stamp.publisher} is not in channel {stamp.channel}"))
            else:
                messages.append((stamp.publisher, stamp.sequence, stamp.due, stamp.lag))
        if stamps and self._bare and (len(stamps) > 1 or len(line) != MIN_SIZE + len(self._tail)):
            events.append(Strange(Fault.FOREIGN, f"more than was sent: {show(line)}"))
        # A server may put what it asks for into one frame with messages.
        return Said(messages, events + self._asked(line))

    def _asked(self, payload: bytes) -> list[Event]:
        """Return what a frame asks for, besides its messages."""
        events: list[Event] = [
            Answer(number) for number, pattern in enumerate(self._answers) if pattern.search(payload)
        ]
        if self._ready is not None and self._ready.search(payload):
            events.append(Ready())
        return events


def show(payload: bytes) -> str:
    """Return the beginning of a payload for people."""
    more = "..." if len(payload) > _SHOWN_BYTES else ""
    return payload[:_SHOWN_BYTES].decode(errors="backslashreplace") + more


def _compile(pattern: str) -> re.Pattern[bytes]:
    """Return a pattern for frames; ^ and $ are those of a line, since some servers write several into one frame."""
    return re.compile(pattern.encode(), re.MULTILINE)

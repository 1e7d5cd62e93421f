"""The clients' ends of the connections: what each one sends and what it has received.

All clients of a channel see one order, so the byte streams of its subscribers are equal.
Whoever is ahead writes the channel's reference; everyone else is compared with it by
memory comparison. A subscriber that differs keeps its own bytes from there on. The
messages are looked at one by one after the run (tally.py), so checking every delivery
costs the clients next to nothing while they run.
"""

from __future__ import annotations

import socket
from array import array

from .wire import PONG, SENT_SIZE, TEXT, WEBSOCKET, Format, client_frame, message

BUFFER = bytearray(1 << 20)
VIEW = memoryview(BUFFER)
PING_BYTE = b"\x89"  # bench messages are ASCII and their frames begin with 0x81


class Stream:
    """One connection that keeps the bytes it receives."""

    __slots__ = ("closed", "cut", "format", "own", "position", "sock")

    def __init__(self, sock: socket.socket, format: Format = WEBSOCKET) -> None:
        """Take over a connected, non-blocking socket after its handshake."""
        self.sock = sock
        self.format = format
        self.position = 0  # bytes received, without pings
        self.own = bytearray()  # the bytes that are not in the reference
        self.cut = b""  # the beginning of a ping whose end has not come yet
        self.closed = False

    def receive(self) -> int:
        """Read once; return the number of bytes, without pings."""
        try:
            size = self.sock.recv_into(BUFFER)
        except BlockingIOError:
            return 0
        except ConnectionError:
            size = 0
        if not size:
            self.closed = True
            return 0
        chunk: memoryview | bytes = VIEW[:size]
        if self.cut or BUFFER.find(PING_BYTE, 0, size) >= 0:
            chunk = self.answer_pings(self.cut + bytes(chunk))
        self.take(chunk)
        self.position += len(chunk)
        return len(chunk)

    def answer_pings(self, data: bytes) -> bytes:
        """Answer the pings in data and return the rest."""
        kept, self.cut = b"", b""
        while (start := data.find(PING_BYTE)) >= 0:
            kept += data[:start]
            end = start + 2 + (data[start + 1] if start + 1 < len(data) else 0)
            if end > len(data):
                self.cut = data[start:]
                return kept
            self.sock.send(client_frame(PONG, data[start + 2 : end]))
            data = data[end:]
        return kept + data

    def take(self, chunk: memoryview | bytes) -> None:
        """Keep a chunk of the stream."""
        self.own += chunk

    def data(self) -> bytearray:
        """Return all bytes received."""
        return self.own


class Subscriber(Stream):
    """A client that only listens; its stream should be the channel's reference."""

    __slots__ = ("differs", "reference")

    def __init__(self, sock: socket.socket, reference: bytearray, format: Format) -> None:
        """Compare what comes over sock with reference, or append to it when ahead."""
        super().__init__(sock, format)
        self.reference = reference
        self.differs = False

    def take(self, chunk: memoryview | bytes) -> None:
        """Compare a chunk with the reference, or extend the reference by it."""
        reference, position = self.reference, self.position
        if self.differs:
            self.own += chunk
            return
        known = len(reference) - position
        # bytearray.startswith is memcmp; == of memoryviews is a slow loop.
        if len(chunk) <= known:
            if reference.startswith(chunk, position):
                return
        elif not known or reference.startswith(chunk[:known], position):
            reference += chunk[known:]
            return
        self.differs = True
        self.own = reference[:position] + chunk

    def data(self) -> bytearray:
        """Return all bytes received."""
        return self.own if self.differs else self.reference[: self.position]


class Publisher(Stream):
    """A client that sends messages when they are due, from frames masked beforehand."""

    __slots__ = ("frames", "number", "sent", "times")

    def __init__(self, sock: socket.socket, number: int, times: array[int]) -> None:
        """Prepare the frames of publisher number; times are its due times in ns."""
        super().__init__(sock)
        self.number = number
        self.times = times
        self.sent = 0  # bytes
        self.frames = memoryview(
            b"".join(client_frame(TEXT, message(number, sequence, due)) for sequence, due in enumerate(times))
        )

    def send(self, count: int) -> None:
        """Send up to message number count; what the socket does not take stays due."""
        end = count * SENT_SIZE
        if end > self.sent:
            try:
                self.sent += self.sock.send(self.frames[self.sent : end])
            except BlockingIOError:
                pass
            except ConnectionError:
                self.closed = True

    @property
    def sent_messages(self) -> int:
        """How many messages the socket took, a part of one counted as one."""
        return -(-self.sent // SENT_SIZE)


class Channel:
    """One channel: its subscribers, its publishers and the reference stream."""

    def __init__(self, name: str, format: Format) -> None:
        """Start empty; name is that of the channel, format that of its subscribers."""
        self.name = name
        self.format = format
        self.reference = bytearray()
        self.subscribers: list[Subscriber] = []
        self.publishers: list[Publisher] = []

    def expected_messages(self) -> int:
        """How many deliveries the messages sent so far must lead to."""
        sent = [publisher.sent_messages for publisher in self.publishers]
        # Nobody gets their own messages back.
        return sum(sent) * len(self.subscribers) + sum(sent) * len(sent) - sum(sent)

    def unsent_messages(self) -> int:
        """How many scheduled messages have not been sent."""
        return sum(len(p.times) - p.sent_messages for p in self.publishers)

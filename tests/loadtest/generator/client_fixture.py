"""A client on a stage: its company and its connection are stand-ins that take note of everything."""

from __future__ import annotations

import asyncio
import time

from relay.loadtest.generator.chunk_decoder import Reader
from relay.loadtest.generator.delivery_checker import Checker, Receiver
from relay.loadtest.generator.load_publisher import Publisher, Punctuality
from relay.loadtest.generator.payload import Stamp, encode, filler
from relay.loadtest.generator.virtual_client import Client
from relay.loadtest.plan.dialect import Dialect
from tests.harness.raw_websocket import Frame, encode_frame
from tests.harness.server_session import take_frame

RUN = 0xAB
SIZE = 60
PLAIN = Dialect()
DIALECT = Dialect(ready="^ready$", answers=(("^who", "me"), ("^what", "this")), ignore=("^ready$",))


class Company:
    """The other clients: what a client tells them."""

    def __init__(self, dialect: Dialect) -> None:
        self.reader = Reader(RUN, SIZE, {0: 0, 1: 0, 2: 1}, dialect)
        self.checker = Checker()
        self.epoch = time.monotonic_ns()
        self.bytes_received = 0
        self.pings = 0
        self.arrivals = 0
        self.ends: list[str] = []
        self.collected = 0

    def joined(self, client: Client) -> None:
        """Note an arrival."""
        self.arrivals += 1

    def left(self, client: Client, reason: str) -> None:
        """Note an end."""
        self.ends.append(reason)

    def collect(self) -> None:
        """Note that it was asked for."""
        self.collected += 1
        self.reader.collect()


class Line(asyncio.Transport):
    """A connection to nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()
        self.aborted = False
        self.closed = False
        self.unread = 0
        self.reading = True
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.aborted
        self.data += data

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0

    def said(self) -> list[tuple[int, bytes]]:
        """Return the frames written since the last time: opcode and payload."""
        frames: list[Frame] = list(iter(lambda: take_frame(self.data), None))
        return [(frame.opcode, frame.payload) for frame in frames]


class Scene:
    """A client, its company and its connection; in session unless told otherwise."""

    def __init__(self, dialect: Dialect = PLAIN, frames: tuple[bytes, ...] = (), publishes: bool = False) -> None:
        self.company = Company(dialect)
        self.receiver = Receiver(7, "ws://127.0.0.1:1", "room", [0, 1])
        publisher = Publisher(9, 0, RUN, SIZE, "{payload}", self.company.epoch, Punctuality())
        answers = [frame.encode() for _, frame in dialect.answers]
        self.client = Client(
            self.company,
            self.receiver,
            list(frames),
            answers,
            dialect.ready is not None,
            publisher if publishes else None,
        )
        self.line = Line()

    def open(self, data: bytes = b"") -> Scene:
        """Begin a session."""
        self.client.opened(self.line, data)
        return self

    def hear(self, opcode: int, content: bytes = b"") -> list[tuple[int, bytes]]:
        """Get a frame, and return what the client says to it."""
        self.client.data_received(encode_frame(opcode, content, masked=False))
        return self.line.said()


def message(sequence: int, publisher: int = 0) -> bytes:
    """Return a message's payload."""
    return encode(Stamp(RUN, publisher, 1 if publisher == 2 else 0, sequence, 0, 0), filler(SIZE))

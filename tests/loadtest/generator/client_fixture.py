"""A virtual client whose context and transport are fakes that record everything."""

from __future__ import annotations

import asyncio
import time

from relay.loadtest.generator.chunk_decoder import ChunkDecoder
from relay.loadtest.generator.delivery_checker import DeliveryChecker, Receiver
from relay.loadtest.generator.load_publisher import LoadPublisher, SendStatistics
from relay.loadtest.generator.payload import MessageHeader, encode_payload, filler
from relay.loadtest.generator.virtual_client import VirtualClient
from relay.loadtest.plan.plan import Dialect
from tests.harness.raw_websocket import Frame, encode_frame
from tests.harness.server_session import take_frame

RUN = 0xAB
SIZE = 60
PLAIN = Dialect()
DIALECT = Dialect(ready="^ready$", answers=(("^who", "me"), ("^what", "this")), ignore=("^ready$",))


class RecordingContext:
    """What the clients of a worker share; records the callbacks."""

    def __init__(self, dialect: Dialect) -> None:
        self.decoder = ChunkDecoder(RUN, SIZE, {0: 0, 1: 0, 2: 1}, dialect)
        self.checker = DeliveryChecker()
        self.epoch = time.monotonic_ns()
        self.bytes_received = 0
        self.pings = 0
        self.arrivals = 0
        self.ends: list[str] = []
        self.collected = 0

    def joined(self, client: VirtualClient) -> None:
        """Record a subscribed client."""
        self.arrivals += 1

    def left(self, client: VirtualClient, reason: str) -> None:
        """Record the end of a session."""
        self.ends.append(reason)

    def collect(self) -> None:
        """Record the call."""
        self.collected += 1
        self.decoder.collect()


class RecordingTransport(asyncio.Transport):
    """A transport that records what is written."""

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

    def sent_frames(self) -> list[tuple[int, bytes]]:
        """Return the frames written since the last time: opcode and payload."""
        frames: list[Frame] = list(iter(lambda: take_frame(self.data), None))
        return [(frame.opcode, frame.payload) for frame in frames]


class ClientFixture:
    """A client with its context and its transport."""

    def __init__(self, dialect: Dialect = PLAIN, frames: tuple[bytes, ...] = (), publishes: bool = False) -> None:
        self.context = RecordingContext(dialect)
        self.receiver = Receiver(7, "ws://127.0.0.1:1", "room", [0, 1])
        publisher = LoadPublisher(9, 0, RUN, SIZE, "{payload}", self.context.epoch, SendStatistics())
        answers = [frame.encode() for _, frame in dialect.answers]
        self.client = VirtualClient(
            self.context,
            self.receiver,
            list(frames),
            answers,
            dialect.ready is not None,
            publisher if publishes else None,
        )
        self.transport = RecordingTransport()

    def open(self, data: bytes = b"") -> ClientFixture:
        """Begin a session."""
        self.client.opened(self.transport, data)
        return self

    def receive(self, opcode: int, content: bytes = b"") -> list[tuple[int, bytes]]:
        """Receive a frame, and return the frames that the client answers."""
        self.client.data_received(encode_frame(opcode, content, masked=False))
        return self.transport.sent_frames()


def message(sequence: int, publisher: int = 0) -> bytes:
    """Return a message's payload."""
    return encode_payload(MessageHeader(RUN, publisher, 1 if publisher == 2 else 0, sequence, 0, 0), filler(SIZE))

"""A load publisher whose connection is a fake that records what is written."""

from __future__ import annotations

import asyncio
import time

from relay.loadtest.generator.load_publisher import LoadPublisher, SendStatistics
from relay.loadtest.generator.payload import MessageHeader, filler, find_headers
from tests.harness.raw_websocket import Frame
from tests.harness.server_session import take_frame

SIZE = 64
RUN = 0xABC


class RecordingTransport(asyncio.WriteTransport):
    """A transport that takes a number of writes and is full then, as a socket is whose peer doesn't read.

    Args:
        publisher: publisher that writes.
        takes: number of writes; None: no limit.
    """

    def __init__(self, publisher: LoadPublisher, takes: int | None = None) -> None:
        super().__init__()
        self.data = bytearray()
        self.writes = 0
        self._publisher = publisher
        self._takes = takes
        publisher.transport = self

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += data
        self.writes += 1
        if self.writes == self._takes:
            self._publisher.transport = None

    def frames(self) -> list[Frame]:
        """Return the frames written so far."""
        data = bytearray(self.data)
        return list(iter(lambda: take_frame(data), None))

    def headers(self) -> list[MessageHeader]:
        """Return the messages written so far."""
        found = []
        for frame in self.frames():
            (header,), damaged = find_headers(frame.payload, filler(SIZE))
            assert damaged == []
            found.append(header)
        return found


def make(number: int = 0, template: str = "{payload}", epoch: int | None = None) -> LoadPublisher:
    """Return a publisher of channel 5 in a run that begins now."""
    return LoadPublisher(
        number, 5, RUN, SIZE, template, time.monotonic_ns() if epoch is None else epoch, SendStatistics()
    )

"""Subscribers with sockets, for a fan-out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from relay.fan_out.direct_subscriber import DirectSubscriber
from relay.message import Encoder, Message
from relay.position import Position
from relay.subscribers import Group, Subscriber

LARGE = b"0123456789abcdef" * 300_000
"""More than any socket takes at once."""


def payload_only(message: Message) -> bytes:
    """Encode a message as its payload."""
    return message.payload


class Described:
    """What the hub asks of a subscriber, beside deliveries."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.id = number.to_bytes(16, "big")
        self.echo = False
        self.by_itself: list[bytes] = []

    @property
    def encode(self) -> Encoder:
        return payload_only

    def missed(self, channel: str, position: Position | None) -> None:
        raise AssertionError(channel)


class Elsewhere(Described):
    """A subscriber without a socket."""

    def deliver(self, data: bytes, count: int) -> None:
        self.by_itself.append(data)


class Member(Described, DirectSubscriber):
    """A subscriber with a socket, and the other end of it."""

    def __init__(self, number: int, transport: asyncio.Transport, reader: asyncio.StreamReader) -> None:
        super().__init__(number)
        self._connect(transport)
        self.transport = transport
        self.reader = reader
        self.failed: list[int] = []
        self.aborted = False

    def deliver(self, data: bytes, count: int) -> None:
        self.by_itself.append(data)
        self._write(data)

    def write_failed(self, error: int) -> None:
        self.failed.append(error)

    def abort(self) -> None:
        self.aborted = True
        super().abort()

    @property
    def state(self) -> int:
        """Whether the fan-out may write to its socket."""
        assert self._direct is not None
        return int(self._direct._states[self._direct.descriptor])

    def leave(self) -> None:
        """End as clients do."""
        self._disconnect()

    def write(self, data: bytes) -> None:
        """Write something of its own."""
        self._write(data)


MakeMember = Callable[[int], Awaitable[Member]]
"""Connects a member."""


@asynccontextmanager
async def one_member(number: int) -> AsyncIterator[Member]:
    """Connect a member; its other end is read only when the test reads it."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reader, writer = await asyncio.open_connection(*listening.getsockname()[:2], limit=1024)
        accepted, _ = listening.accept()
    accepted.setblocking(False)
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
    assert isinstance(transport, asyncio.Transport)
    try:
        yield Member(number, transport, reader)
    finally:
        transport.abort()
        writer.transport.abort()
        await asyncio.sleep(0)  # both leave the event loop


def group_of(*subscribers: Subscriber) -> Group:
    """Return a group."""
    group = Group()
    for subscriber in subscribers:
        group.join(subscriber)
    return group

"""The fan-out past the transports, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import pytest_asyncio

from relay.fan_out.direct_fan_out import DirectFanOut
from relay.fan_out.direct_socket import OPEN, WITHHELD
from relay.fan_out.direct_subscriber import DirectSubscriber
from relay.message import Encoder, Message
from relay.position import Position
from relay.subscribers import Group, Subscriber
from tests.harness.conditions import wait_until
from tests.harness.fan_outs import NATIVE, need

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


@pytest_asyncio.fixture
async def member() -> AsyncIterator[MakeMember]:
    """Connect members: `await member(1)`."""
    async with AsyncExitStack() as stack:
        yield lambda number: stack.enter_async_context(one_member(number))


@pytest.fixture(params=NATIVE)
def fan_out(request: pytest.FixtureRequest) -> DirectFanOut:
    """A fan-out by each of the native ways."""
    need(request.param)
    return DirectFanOut(io_uring=request.param == "io_uring", least=1)


def group_of(*subscribers: Subscriber) -> Group:
    """Return a group."""
    group = Group()
    for subscriber in subscribers:
        group.join(subscriber)
    return group


async def test_everybody_gets_the_bytes_and_nobody_is_left(fan_out: DirectFanOut, member: MakeMember) -> None:
    """More members than one batch of the ring has."""
    members = [await member(number) for number in range(150)]
    group = group_of(*members)
    for data in (b"one", b"two"):
        assert list(fan_out.deliver(group, data, ())) == []
    for one in members:
        assert await one.reader.readexactly(6) == b"onetwo"
        assert one.by_itself == []


async def test_what_a_socket_does_not_take_follows_before_everything_else(
    fan_out: DirectFanOut, member: MakeMember
) -> None:
    slow, quick = await member(1), await member(2)
    group = group_of(slow, quick)
    assert list(fan_out.deliver(group, LARGE, ())) == []
    assert (slow.state, quick.state) == (WITHHELD, WITHHELD)
    slow.write(b"own")
    assert list(fan_out.deliver(group, b"later", ())) == [slow, quick]
    slow.deliver(b"later", 1)
    assert await slow.reader.readexactly(len(LARGE) + 8) == LARGE + b"ownlater"
    assert await quick.reader.readexactly(len(LARGE)) == LARGE
    await wait_until(lambda: not slow.transport.get_write_buffer_size())
    # Its transport says nothing when it is empty, so the next message goes there.
    assert list(fan_out.deliver(group, b"1", ())) == [slow, quick]
    slow.deliver(b"1", 1)
    assert slow.state == OPEN
    assert list(fan_out.deliver(group, b"2", ())) == [quick]
    assert await slow.reader.readexactly(2) == b"12"


async def test_a_socket_that_is_full_gets_nothing(fan_out: DirectFanOut, member: MakeMember) -> None:
    """Filled behind the transport's back, so that only the write finds out."""
    full, other = await member(1), await member(2)
    group = group_of(full, other)
    assert list(fan_out.deliver(group, b"first", ())) == []
    sock = full.transport.get_extra_info("socket")
    filled = 0
    with socket.socket(fileno=socket.dup(sock.fileno())) as same, suppress(BlockingIOError):
        while True:
            filled += same.send(LARGE)
    assert list(fan_out.deliver(group, b"second", ())) == [full]
    assert full.failed == []
    assert await other.reader.readexactly(11) == b"firstsecond"
    assert len(await full.reader.readexactly(5 + filled)) == 5 + filled


async def test_a_socket_that_has_failed_is_left_to_its_transport(fan_out: DirectFanOut, member: MakeMember) -> None:
    gone, other = await member(1), await member(2)
    group = group_of(gone, other)
    assert list(fan_out.deliver(group, b"first", ())) == []
    gone.transport.pause_reading()  # or it would notice first
    peer = gone.reader._transport  # type: ignore[attr-defined]
    peer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.abort()
    await asyncio.sleep(0)
    await wait_until(lambda: list(fan_out.deliver(group, b"x", ())) == [gone])
    assert set(gone.failed) <= {errno.EPIPE, errno.ECONNRESET}
    assert gone.failed
    assert not gone.aborted


async def test_some_are_passed_over(fan_out: DirectFanOut, member: MakeMember) -> None:
    one, two, three = await member(1), await member(2), await member(3)
    elsewhere, sender = Elsewhere(4), Elsewhere(5)
    group = group_of(one, two, three, elsewhere, sender)
    assert list(fan_out.deliver(group, b"all", ())) == [elsewhere, sender]
    assert list(fan_out.deliver(group, b"two", [one, sender])) == [elsewhere]
    assert one.state == two.state == OPEN
    assert list(fan_out.deliver(group, b"end", ())) == [elsewhere, sender]
    assert await one.reader.readexactly(6) == b"allend"
    assert await two.reader.readexactly(9) == await three.reader.readexactly(9) == b"alltwoend"


async def test_a_state_is_given_back_as_it_was(fan_out: DirectFanOut, member: MakeMember) -> None:
    one, two = await member(1), await member(2)
    group = group_of(one, two)
    assert list(fan_out.deliver(group, LARGE, [two])) == []
    assert list(fan_out.deliver(group, b"x", [one])) == []
    assert (one.state, two.state) == (WITHHELD, OPEN)


async def test_a_group_that_has_changed_is_looked_at_again(fan_out: DirectFanOut, member: MakeMember) -> None:
    one, two = await member(1), await member(2)
    group = group_of(one)
    assert list(fan_out.deliver(group, b"1", ())) == []
    group.join(two)
    assert list(fan_out.deliver(group, b"2", ())) == []
    assert group.leave(one)
    one.leave()
    assert list(fan_out.deliver(group, b"3", ())) == []
    assert await two.reader.readexactly(2) == b"23"
    one.transport.close()
    assert await one.reader.read() == b"12"


async def test_once_its_socket_has_ended_nothing_is_written_for_a_member(
    fan_out: DirectFanOut, member: MakeMember
) -> None:
    """Even where it is still in a group: its descriptor will be another one's."""
    one, two = await member(1), await member(2)
    group = group_of(one, two)
    assert list(fan_out.deliver(group, b"1", ())) == []
    one.leave()
    assert list(fan_out.deliver(group, b"2", ())) == [one]
    one.transport.close()
    assert await one.reader.read() == b"1"


async def test_a_fault_in_one_member_costs_the_others_nothing(
    fan_out: DirectFanOut, member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frame is cut, so it has to go."""
    faulty, other = await member(1), await member(2)

    def fail(data: bytes) -> None:
        raise ValueError(len(data))

    monkeypatch.setattr(faulty, "write_rest", fail, raising=True)
    assert list(fan_out.deliver(group_of(faulty, other), LARGE, ())) == []
    assert faulty.aborted
    assert await other.reader.readexactly(len(LARGE)) == LARGE


async def test_after_its_end_everybody_writes_alone(fan_out: DirectFanOut, member: MakeMember) -> None:
    one, elsewhere = await member(1), Elsewhere(2)
    group = group_of(one, elsewhere)
    assert list(fan_out.deliver(group, b"1", ())) == [elsewhere]
    fan_out.close()
    fan_out.close()
    left: list[Subscriber] = [elsewhere, one]
    assert list(fan_out.deliver(group, b"2", ())) == left
    assert list(fan_out.deliver(group, b"2", [one])) == [elsewhere]

"""The fan-out past the transports, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from contextlib import suppress

import pytest

from relay.fan_out.direct_fan_out import DirectFanOut
from relay.fan_out.direct_socket import OPEN, WITHHELD
from relay.subscribers import Subscriber
from tests.fan_out.members import LARGE, Elsewhere, MakeMember, group_of
from tests.harness.conditions import wait_until


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

"""What several groups have for the same sockets goes out in one write."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import suppress

import pytest

from relay.fan_out.direct_fan_out import UNKNOWN, DirectFanOut
from relay.fan_out.direct_socket import OPEN, WITHHELD
from relay.subscribers import Group, Subscriber
from tests.fan_out.members import LARGE, Elsewhere, MakeMember, Member, group_of
from tests.harness.conditions import wait_until


class Gatherer(Member):
    """A member that gets what several groups have for it in one write."""

    gathers = True


async def gatherers(member: MakeMember, count: int) -> list[Gatherer]:
    """Connect gatherers."""
    made = [await member(number) for number in range(count)]
    return [Gatherer(number, one.transport, one.reader) for number, one in enumerate(made)]


def left_of(fan_out: DirectFanOut, *deliveries: tuple[Group, bytes]) -> list[list[Subscriber]]:
    """Write deliveries together; return who is left of each."""
    others, _ = fan_out.deliver_together(deliveries)
    return [list(left) for left in others]


async def test_only_groups_with_a_gatherer_wait_for_others(fan_out: DirectFanOut, member: MakeMember) -> None:
    plain, (gatherer,) = await member(10), await gatherers(member, 1)
    assert not fan_out.gathers(group_of(plain, Elsewhere(2)))
    assert fan_out.gathers(group_of(plain, gatherer))


async def test_each_gets_what_its_groups_have_in_their_order(fan_out: DirectFanOut, member: MakeMember) -> None:
    """More members than one batch of the ring has, and one who is in a single group."""
    many, elsewhere = await gatherers(member, 150), Elsewhere(200)
    first, second, third = group_of(*many), group_of(*many[::2], elsewhere), group_of(*reversed(many[:100]))
    for _ in range(2):
        others, joined = fan_out.deliver_together([(first, b"1"), (second, b"22"), (third, b"3")])
        assert [list(left) for left in others] == [[], [elsewhere], []]
        assert joined == 75 + 100
    for number, one in enumerate(many):
        got = b"1" + b"22" * (number % 2 == 0) + b"3" * (number < 100)
        assert await one.reader.readexactly(2 * len(got)) == got * 2
        assert one.by_itself == []


async def test_of_what_a_socket_does_not_take_the_rest_of_a_chunk_goes_first(
    fan_out: DirectFanOut, member: MakeMember
) -> None:
    slow, quick = await gatherers(member, 2)
    others = left_of(fan_out, (group_of(slow), LARGE), (group_of(slow, quick), b"second"), (group_of(slow), b"third"))
    assert others == [[], [slow], [slow]]
    assert (slow.state, quick.state) == (WITHHELD, OPEN)
    for data in (b"second", b"third"):
        slow.deliver(data, 1)
    assert await slow.reader.readexactly(len(LARGE) + 11) == LARGE + b"secondthird"
    assert await quick.reader.readexactly(6) == b"second"


async def test_a_socket_that_is_full_or_withheld_gets_nothing(fan_out: DirectFanOut, member: MakeMember) -> None:
    """Filled behind the transport's back, so that only the write finds out."""
    full, withheld, other = await gatherers(member, 3)
    group, same = group_of(full, withheld, other), group_of(other, withheld, full)
    assert left_of(fan_out, (group, b"first")) == [[]]
    sock = full.transport.get_extra_info("socket")
    filled = 0
    with socket.socket(fileno=socket.dup(sock.fileno())) as duplicate, suppress(BlockingIOError):
        while True:
            filled += duplicate.send(LARGE)
    withheld._withhold()
    assert left_of(fan_out, (group, b"second"), (same, b"third")) == [[withheld, full], [withheld, full]]
    assert full.failed == []
    assert await other.reader.readexactly(16) == b"firstsecondthird"
    assert len(await full.reader.readexactly(5 + filled)) == 5 + filled


async def test_a_socket_that_has_failed_is_left_to_its_transport(fan_out: DirectFanOut, member: MakeMember) -> None:
    gone, other = await gatherers(member, 2)
    gone.transport.pause_reading()  # or it would notice first
    group, same = group_of(gone, other), group_of(gone, other)
    gone.reader._transport.abort()  # type: ignore[attr-defined]
    await wait_until(lambda: left_of(fan_out, (group, b"x"), (same, b"y")) == [[gone], [gone]])
    assert set(gone.failed) <= {errno.EPIPE, errno.ECONNRESET}
    assert gone.failed
    assert not gone.aborted


async def test_who_has_a_fault_is_dropped_after_all_rests_were_written(
    fan_out: DirectFanOut, member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty, other = await gatherers(member, 2)
    written: list[bool] = []

    def fail(data: bytes) -> None:
        raise ValueError(len(data))

    def pass_on(data: bytes) -> None:
        written.append(faulty.aborted)
        other.write(data)

    monkeypatch.setattr(faulty, "write_rest", fail)
    monkeypatch.setattr(other, "write_rest", pass_on)
    assert left_of(fan_out, (group_of(faulty, other), LARGE), (group_of(faulty), b"x")) == [[], [faulty]]
    assert (faulty.aborted, written) == (True, [False])
    assert await other.reader.readexactly(len(LARGE)) == LARGE


async def test_a_socket_of_which_nothing_is_known_is_dropped(
    fan_out: DirectFanOut, member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library says when the ring fails; nobody else is asked to write to it."""
    (one,) = await gatherers(member, 1)

    class Failing:
        def relay_fan_out_write_together(self, *given: object) -> int:
            for place, number in enumerate((0, 0, UNKNOWN, 1, 0, UNKNOWN)):
                fan_out._left[place] = number
            return 2

        def relay_fan_out_close(self, made: object) -> None:
            """Leave it open."""

    monkeypatch.setattr(fan_out, "_library", Failing())
    assert left_of(fan_out, (group_of(one), b"x"), (group_of(one), b"y")) == [[], []]
    assert one.aborted


async def test_after_its_end_everybody_writes_alone(fan_out: DirectFanOut, member: MakeMember) -> None:
    (one,) = await gatherers(member, 1)
    elsewhere = Elsewhere(2)
    groups: Sequence[tuple[Group, bytes]] = [(group_of(one, elsewhere), b"1"), (group_of(one), b"2")]
    assert left_of(fan_out, *groups) == [[elsewhere], []]
    assert await one.reader.readexactly(2) == b"12"
    fan_out.close()
    assert left_of(fan_out, *groups) == [[elsewhere, one], [one]]

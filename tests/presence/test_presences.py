"""What a gateway tells the bus about its clients: together, again when it failed, and again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from relay.brokers.presence import Tally
from relay.member import Member
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions, Namespaces
from relay.presence import channel_presence
from relay.presence import presences as module
from relay.presence.presences import Presences
from tests.harness.conditions import stays_true, wait_until
from tests.presence.presence_bus import BusStore, PresenceBus

NAMESPACES = Namespaces(named={"room": ChannelOptions(presence=True, join_leave=True)})
ROOM = "room:1"


class House:
    """One gateway's presences.

    Args:
        bus: that it tells.
        gateway: its id.
        ttl: seconds.
        linger: seconds.
    """

    def __init__(self, bus: PresenceBus, gateway: str, ttl: float, linger: float) -> None:
        self.store = BusStore(bus, gateway)
        self.counters = Counters()
        self.lost: list[str] = []
        self.presences = Presences(
            NAMESPACES,
            self.store,
            self.counters,
            ttl,
            self.lost.append,
            linger_seconds=linger,
            batch_seconds=0.002,
        )

    def join(self, number: int, user: str | None = None, channel: str = ROOM) -> None:
        self.presences.joined(channel, Member(str(number), user))

    def leave(self, number: int, channel: str = ROOM) -> None:
        self.presences.left(channel, str(number))


@asynccontextmanager
async def house(
    bus: PresenceBus | None = None, gateway: str = "x", *, ttl: float = 3600.0, linger: float = 3600.0
) -> AsyncIterator[House]:
    """Run presences."""
    found = House(bus or PresenceBus(), gateway, ttl, linger)
    running = asyncio.create_task(found.presences.run())
    try:
        yield found
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.001, 0.002))
    monkeypatch.setattr(module, "REFUSED_SECONDS", 0.001)


async def test_only_channels_with_presence_are_covered() -> None:
    async with house() as found:
        assert found.presences.covers(ROOM)
        assert not found.presences.covers("lobby")
        assert not Presences(Namespaces(), found.store, found.counters, 60.0, print).covers("lobby")


async def test_what_happens_within_a_moment_is_told_together() -> None:
    async with house() as found:
        for number in range(3000):
            found.join(number, None, f"room:{number % 3}")
        found.leave(0, "room:0")
        await wait_until(lambda: not found.presences.waiting and found.store.counts["update"])
        assert sum(len(change.members) for change in found.store.changes) == 2999
        assert len(found.store.changes) == 3
        assert found.presences.members == 2999
        assert found.counters.presence_calls == {"updated": found.store.counts["update"]}


async def test_a_guest_goes_at_once_and_a_user_when_it_has_lingered() -> None:
    bus = PresenceBus()
    async with house(bus, linger=0.2) as found:
        found.join(1)
        found.join(2, "ann")
        await wait_until(lambda: len(bus.seen.get(ROOM, ())) == 2)
        found.leave(1)
        found.leave(2)
        await wait_until(lambda: bus.seen[ROOM] == {"user:ann"})
        assert bus.members(ROOM) == set()
        assert found.presences.lingering == 1
        await wait_until(lambda: not bus.seen[ROOM])
        await wait_until(lambda: not len(found.presences))
        assert (found.presences.lingering, found.presences.waiting) == (0, 0)


async def test_who_comes_back_to_another_gateway_neither_goes_nor_comes() -> None:
    bus = PresenceBus()
    async with house(bus, "x", linger=0.05) as x, house(bus, "y", linger=0.05) as y:
        x.join(1, "ann")
        await wait_until(lambda: bus.members(ROOM) == {"1"})
        x.leave(1)
        y.join(2, "ann")
        await wait_until(lambda: not len(x.presences))
        assert bus.members(ROOM) == {"2"}
        assert len(bus.told) == 1


async def test_who_has_no_room_to_linger_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINGERING", 1)
    bus = PresenceBus()
    async with house(bus) as found:
        for number in range(3):
            found.join(number, f"u{number}")
        await wait_until(lambda: len(bus.seen.get(ROOM, ())) == 3)
        for number in range(3):
            found.leave(number)
        await wait_until(lambda: bus.seen[ROOM] == {"user:u0"})
        assert found.counters.presence_overflows == 2


@pytest.mark.usefixtures("_quick_retries")
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_fails_is_told_again_until_the_bus_has_it(when: str) -> None:
    bus = PresenceBus()
    async with house(bus) as found:
        found.store.away = when
        for number in range(3):
            found.join(number, f"u{number}", f"room:{number}")
        await wait_until(lambda: found.counters.presence_calls["failed"] > 5)
        found.leave(0, "room:0")
        found.join(3, "u3")
        found.store.away = None
        await wait_until(lambda: not found.presences.waiting and bus.members(ROOM) == {"1", "3"})
        assert (bus.members("room:0"), bus.members("room:2")) == (set(), {"2"})
        assert bus.seen[ROOM] == {"user:u1", "user:u3"}
        assert bus.idle == 0


@pytest.mark.usefixtures("_quick_retries")
async def test_a_channel_that_the_bus_refuses_keeps_no_other_waiting() -> None:
    bus = PresenceBus()
    async with house(bus, ttl=0.05) as found:
        found.store.refused.add(ROOM)
        found.join(1)
        found.join(2, channel="room:2")
        await wait_until(lambda: bus.members("room:2") == {"2"})
        await wait_until(lambda: found.store.refreshed.count("room:2") > 3)
        assert bus.members(ROOM) == set()
        found.store.refused.clear()
        await wait_until(lambda: bus.members(ROOM) == {"1"})
        assert found.counters.presence_repairs == 0


@pytest.mark.usefixtures("_quick_retries")
async def test_a_fault_of_the_store_is_a_failure() -> None:
    bus = PresenceBus()
    async with house(bus) as found:
        found.store.refused = None  # type: ignore[assignment]
        found.join(1)
        await wait_until(lambda: found.counters.presence_calls["failed"])
        found.store.refused = set()
        await wait_until(lambda: bus.members(ROOM) == {"1"})


async def test_all_clients_of_a_channel_are_refreshed_by_one_call() -> None:
    async with house(ttl=3600.0) as found:
        found.presences._fresh._seconds = 0.01  # on a busy machine none is too late, and told anew
        for number in range(1000):
            found.join(number)
        await wait_until(lambda: found.store.counts["refresh"] > 3)
        assert set(found.store.refreshed) == {ROOM}
        assert len(found.store.refreshed) == found.store.counts["refresh"]
        assert found.store.counts["update"] == len(found.store.changes) == 1


async def test_what_the_bus_has_lost_is_told_anew_and_who_watches_is_told() -> None:
    bus = PresenceBus()
    async with house(bus, ttl=3600.0) as found:
        found.presences._fresh._seconds = 0.01  # the bus doesn't take it for dead
        found.join(1, "ann")
        await wait_until(lambda: bus.members(ROOM) == {"1"} and not found.presences.waiting)
        bus.kept.clear()
        await wait_until(lambda: bus.members(ROOM) == {"1"})
        assert found.store.changes[-1].whole
        assert len(bus.told) == 1
        assert found.lost == [ROOM]
        assert found.counters.presence_repairs == 1


async def test_a_bus_that_loses_a_user_who_lingers_is_told_anew() -> None:
    """So that others see it go when it doesn't come back, and see it at all when it does."""
    bus = PresenceBus()
    async with house(bus, linger=0.5) as found:
        found.presences._fresh._seconds = 0.01
        found.join(1, "ann")
        await wait_until(lambda: bus.members(ROOM) == {"1"} and not found.presences.waiting)
        found.leave(1)
        await wait_until(lambda: not bus.members(ROOM) and not found.presences.waiting)
        bus.kept.clear()
        await wait_until(lambda: found.counters.presence_repairs == 1)
        await wait_until(lambda: not bus.seen[ROOM])


async def test_what_came_while_a_refresh_was_under_way_is_due_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as found:
        found.join(1)
        await wait_until(lambda: found.store.counts["update"] == 1 and not found.presences.waiting)
        refresh = found.store.refresh

        async def slowly(channels: Sequence[str]) -> list[Tally]:
            found.join(2, channel="room:2")
            await asyncio.sleep(0.01)  # the refresh takes time: the other one is due before it has come back
            return await refresh(channels)

        monkeypatch.setattr(found.store, "refresh", slowly)
        await found.presences._refresh([found.presences._channels[ROOM]])
        due = list(found.presences._fresh._due.values())
        assert due == sorted(due)


async def test_who_was_taken_for_dead_lets_its_users_come_again() -> None:
    bus = PresenceBus()
    async with house(bus, ttl=0.02) as found:
        found.join(1, "ann")
        await wait_until(lambda: bus.members(ROOM) == {"1"})
        found.store.away = "before"
        await wait_until(lambda: found.counters.presence_calls["failed"] > 1)  # there is a pause between the two
        bus.bury("x")
        found.store.away = None
        await wait_until(lambda: bus.members(ROOM) == {"1"} and bus.seen[ROOM] == {"user:ann"})


@pytest.mark.usefixtures("_quick_retries")
async def test_who_watches_is_told_when_what_came_and_went_had_to_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_presence, "MAX_GONE", 5)
    bus = PresenceBus()
    async with house(bus, linger=0.0) as found:
        found.join(0, "ann")
        await wait_until(lambda: bus.members(ROOM) == {"0"})
        found.store.away = "after"
        for number in range(1, 10):
            found.join(number)
            await wait_until(lambda n=number: str(n) in bus.members(ROOM))
            found.leave(number)
        await wait_until(lambda: found.counters.presence_repairs == 1)
        assert found.lost == [], "it would read what is still wrong"
        found.store.away = None
        await wait_until(lambda: found.lost == [ROOM])
        assert bus.members(ROOM) == {"0"}
        assert found.counters.presence_repairs == 1


async def test_a_bus_that_never_has_the_right_number_is_told_at_a_slow_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (3600.0, 3600.0))
    async with house() as found:
        change = found.store.bus.change
        monkeypatch.setattr(found.store.bus, "change", lambda *told: Tally(change(*told).members + 1, 0))
        found.join(1)
        await wait_until(lambda: found.store.counts["update"] == 2)
        assert await stays_true(lambda: found.store.counts["update"] == 2, 0.05)


async def test_a_drain_waits_until_the_bus_knows_that_all_have_gone() -> None:
    bus = PresenceBus()
    async with house(bus) as found:
        found.join(1, "ann")
        found.join(2)
        await wait_until(lambda: len(bus.members(ROOM)) == 2)
        found.leave(1)
        found.leave(2)
        await found.presences.drain(60.0)
        assert bus.members(ROOM) == set()
        assert bus.seen[ROOM] == {"user:ann"}, "whether it comes back is for the other gateways to see"
        found.store.away = "before"
        found.join(3)
        await found.presences.drain(0.01)

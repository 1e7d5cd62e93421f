"""Channels that clients have left while the bus doesn't take it: they don't pile up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from relay.brokers.presence import PresenceChange, Tally
from relay.presence import presences as module
from relay.presence import waiting
from tests.harness.conditions import wait_until
from tests.presence.presence_bus import PresenceBus
from tests.presence.test_presences import ROOM, house

MOST = 5


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.001, 0.002))
    monkeypatch.setattr(module, "REFUSED_SECONDS", 0.001)
    monkeypatch.setattr(waiting, "MAX_WITHOUT_CLIENTS", MOST)


async def test_a_bus_that_fails_leaves_no_more_than_some(caplog: pytest.LogCaptureFixture) -> None:
    bus = PresenceBus()
    async with house(bus) as found:
        for number in range(4 * MOST):
            found.join(number, channel=f"room:{number}")
        await wait_until(lambda: not found.presences.waiting and len(bus.members("room:0")) == 1)
        found.store.away = "before"
        for number in range(1, 4 * MOST):
            found.leave(number, channel=f"room:{number}")
        await wait_until(lambda: len(found.presences) <= MOST + 1)
        assert found.presences.members == 1
        assert "channels without clients forgotten" in caplog.text
        found.store.away = None
        await wait_until(lambda: not found.presences.waiting)
        assert (len(found.presences), bus.members("room:0")) == (1, {"0"})
        # Of a forgotten one the bus still has the client, until this gateway counts as dead there, or comes back.
        assert bus.members("room:1") == {"1"}
        found.join(100, channel="room:1")
        await wait_until(lambda: bus.members("room:1") == {"100"})


@pytest.mark.parametrize("seconds", [0.001, 3600.0])
async def test_a_bus_that_refuses_some_channels_leaves_no_more_than_some(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Also of those that it is not told of for a while."""
    monkeypatch.setattr(module, "REFUSED_SECONDS", seconds)
    async with house() as found:
        for number in range(4 * MOST):
            name = f"room:{number}"
            found.store.refused.add(name)
            found.join(number, channel=name)
            await wait_until(lambda n=name: n in {change.channel for change in found.store.changes})
            found.leave(number, channel=name)
        await wait_until(lambda: len(found.presences) <= MOST + 1)


async def test_channels_that_the_bus_takes_are_all_told_however_many_there_are() -> None:
    bus = PresenceBus()
    async with house(bus) as found:
        for number in range(4 * MOST):
            found.join(number, channel=f"room:{number}")
        await wait_until(lambda: not found.presences.waiting and len(bus.members("room:0")) == 1)
        for number in range(4 * MOST):
            found.leave(number, channel=f"room:{number}")
        await wait_until(lambda: not len(found.presences))
        assert [bus.members(f"room:{number}") for number in range(4 * MOST)] == [set()] * 4 * MOST


async def test_one_that_is_left_while_the_bus_refuses_it_is_told_once_and_forgotten_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REFUSED_SECONDS", 3600.0)
    monkeypatch.setattr(waiting, "MAX_WITHOUT_CLIENTS", 0)
    async with house() as found:
        update = found.store.update

        async def slowly(changes: Sequence[PresenceChange]) -> list[Tally]:
            found.leave(1)
            return await update(changes)

        monkeypatch.setattr(found.store, "update", slowly)
        found.store.refused.add(ROOM)
        found.join(1)
        await wait_until(lambda: not len(found.presences))
        assert found.store.counts["update"] == 1

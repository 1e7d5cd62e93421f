"""Looks at quiet channels, and readings that are tried again."""

from __future__ import annotations

import asyncio

import pytest

from relay.position import Position
from relay.recovery import readings, recoveries
from tests.harness.conditions import stays_true, wait_until
from tests.recovery.channel_bus import positioned
from tests.recovery.house import house


async def test_a_reading_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "RETRY_SECONDS", (0.001, 0.001))
    async with house() as found:
        found.history.late = True
        found.claim("kept:a").set_result(None)
        joining = asyncio.create_task(found.join("kept:a", 5))
        for _ in range(3):
            await wait_until(lambda: found.history.asked)
            found.history.fail()
        found.history.late = False
        listener = await joining
        found.publish("kept:a", "1")
        assert listener.got == "1 "
        assert found.counters.history_reads == {"failed": 3, "read": 1}


async def test_a_client_that_comes_later_does_not_wait_for_what_has_failed_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clients are refused when the history isn't read in their time: the pause must be shorter."""
    monkeypatch.setattr(readings, "RETRY_SECONDS", (60.0, 60.0))
    async with house(longest_pause=0.01) as found:
        found.history.late = True
        found.claim("kept:a").set_result(None)
        refused = asyncio.create_task(found.join("kept:a", 5))
        await wait_until(lambda: found.history.asked)
        refused.cancel()
        found.history.fail()
        found.history.late = False
        listener = await found.join("kept:a", 5)
        found.publish("kept:a", "1")
        assert listener.got == "1 "


async def test_a_look_finds_the_last_message() -> None:
    async with house() as found:
        listener = await found.opened("kept:a")
        found.publish("kept:a", "1")
        found.publish("kept:a", "2", lost=True)
        found.recoveries.look(0.0)  # something was heard since the look before
        found.recoveries.look(0.0)
        await wait_until(lambda: found.counters.messages_filled)
        found.hub.flush()
        assert listener.got == "1 2 "


async def test_a_gap_while_the_history_is_read_makes_what_it_says_too_old() -> None:
    async with house() as found:
        listener = await found.opened("kept:a")
        found.history.late = True
        found.recoveries.look(0.0)
        await wait_until(lambda: found.history.asked)
        stale = found.history.asked.pop()
        found.publish("kept:a", "1", lost=True)
        found.recoveries.gap("kept:a")
        stale.answer.set_result(False)
        await wait_until(lambda: found.history.asked)
        assert found.recoveries.prepare("kept:a", 0) is not None
        found.history.answer()
        await wait_until(lambda: found.recoveries.prepare("kept:a", 0) is None)
        found.hub.flush()
        assert listener.got == "1 "


async def test_quiet_channels_take_their_turns_at_being_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoveries, "LOOKED_AT", 4)
    async with house() as found:
        for number in range(10):
            await found.opened(f"kept:{number}")
        before = found.history.readings
        for rounds, looked_at in enumerate((4, 8, 10, 14)):
            found.recoveries.look(float(rounds))
            await wait_until(lambda: found.history.readings - before == looked_at)  # noqa: B023  # at once


async def test_a_reading_that_fails_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "RETRY_SECONDS", (60.0, 60.0))
    async with house() as found:
        found.history.late = True
        found.claim("kept:a").set_result(None)
        await wait_until(lambda: found.history.asked)
        found.history.fail()
        await wait_until(lambda: found.counters.history_reads)
        assert await stays_true(lambda: not found.history.asked, 0.02)


async def test_a_stale_history_is_read_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "RETRY_SECONDS", (60.0, 60.0))
    async with house() as found:
        listener = await found.opened("kept:a")
        found.publish("kept:a", "1")
        before = found.history.readings
        found.recoveries.receive(positioned(Position("another", 2), b"2", channel="kept:a"))
        await wait_until(lambda: found.history.readings > before)
        assert await stays_true(lambda: found.history.readings == before + 1, 0.02)
        assert found.recoveries.prepare("kept:a", 0) is not None
        assert (listener.got, found.told) == ("1 ", [])


async def test_quiet_channels_that_have_had_messages_are_looked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoveries, "LOOKED_AT", 2)
    async with house() as found:
        for number in range(6):
            await found.opened(f"kept:{number}")
        for number in (3, 5):
            found.publish(f"kept:{number}", "1")
            found.publish(f"kept:{number}", "2", lost=True)
        found.recoveries.look(0.0)  # something was heard of them since the look before
        found.recoveries.look(1.0)
        found.recoveries.look(2.0)
        found.recoveries.look(3.0)
        await wait_until(lambda: found.counters.messages_filled == 2)


async def test_few_histories_are_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "MAX_READINGS", 3)
    async with house() as found:
        found.history.late = True
        for number in range(10):
            found.claim(f"kept:{number}").set_result(None)
        joining = [asyncio.create_task(found.join(f"kept:{number}")) for number in range(10)]
        while not all(task.done() for task in joining):
            await wait_until(lambda: found.history.asked or all(task.done() for task in joining))
            assert len(found.history.asked) <= 3
            found.history.answer()
        assert found.history.readings == 10

"""One reading for each channel, whatever the number of clients; and what happens when it fails."""

from __future__ import annotations

import asyncio

import pytest

from relay.errors import SubscribeError
from relay.position import Position
from relay.recovery import readings
from tests.harness.conditions import stays_true, wait_until
from tests.recovery.house import house


async def test_no_history_is_read_before_the_bus_brings_the_channel() -> None:
    async with house() as found:
        acknowledged = found.claim("kept:a")
        joining = asyncio.create_task(found.join("kept:a", Position("e", 1)))
        assert await stays_true(lambda: not found.history.readings, 0.02)
        acknowledged.set_result(None)
        listener = await joining
        assert not listener.replay.recovered
        assert found.counters.recoveries == {"missed": 1}


async def test_all_clients_of_a_channel_that_come_back_at_once_share_one_reading() -> None:
    async with house() as found:
        positions = [found.publish("kept:a", str(number)) for number in range(8)]
        found.history.late = True
        acknowledged = found.claim("kept:a")
        joining = [asyncio.create_task(found.join("kept:a", positions[n % 8])) for n in range(100)]
        await asyncio.sleep(0)
        acknowledged.set_result(None)
        await wait_until(lambda: found.history.asked)
        joining += [asyncio.create_task(found.join("kept:a", positions[n % 8])) for n in range(100)]
        await asyncio.sleep(0)
        found.history.answer()
        listeners = await asyncio.gather(*joining)
        for number, listener in enumerate(listeners):
            assert listener.got == "".join(f"{text} " for text in range(number % 100 % 8 + 1, 8))
        assert found.history.readings == 1
        assert found.counters.history_reads == {"read": 1}
        assert found.counters.recoveries == {"recovered": 200}
        found.history.late = False
        # Later ones too, and those that want the newest: the gateway has the whole history at hand.
        assert (await found.join("kept:a", 3)).got == "5 6 7 "
        assert not (await found.join("kept:a", Position("another", 3))).replay.recovered
        assert found.history.readings == 2


@pytest.mark.parametrize(("resumes", "read"), [((6, 4, 7), 4), ((6, 4, 0), 4), ((6, -1), 8), ((), 0)])
async def test_the_first_reading_brings_what_those_that_wait_ask_for(resumes: tuple[int, ...], read: int) -> None:
    async with house() as found:
        positions = [Position("", 0), *[found.publish("kept:a", str(number)) for number in range(1, 9)]]
        acknowledged = found.claim("kept:a")
        wanted = [positions[offset] if offset > 0 else -9 * offset for offset in resumes]
        joining = [asyncio.create_task(found.join("kept:a", resume)) for resume in [*wanted, 0]]
        await asyncio.sleep(0)
        acknowledged.set_result(None)
        listeners = await asyncio.gather(*joining)
        assert (found.history.readings, found.history.given) == (1, read)
        for offset, listener in zip(resumes, listeners, strict=False):
            first = max(offset, 0) + 1 if offset else 9
            assert listener.got == "".join(f"{text} " for text in range(first, 9))


async def test_a_client_that_joins_gets_nothing_twice_that_waits_for_the_flush() -> None:
    async with house() as found:
        first = await found.opened("kept:a")
        found.recoveries.receive(found.history.append("kept:a", "1"))
        second = await found.join("kept:a", 5)
        found.recoveries.receive(found.history.append("kept:a", "2"))
        found.hub.flush()
        assert (first.got, second.got) == ("1 2 ", "1 2 ")


async def test_a_gap_is_filled_before_anything_else_is_delivered() -> None:
    async with house() as found:
        listeners = [await found.opened("kept:a"), *[await found.join("kept:a") for _ in range(5)]]
        found.publish("kept:a", "1")
        found.history.late = True
        found.publish("kept:a", "2", lost=True)
        assert found.recoveries.gap("kept:a")
        await wait_until(lambda: found.history.asked)
        found.publish("kept:a", "3")
        assert {one.got for one in listeners} == {"1 "}
        found.history.answer()
        await wait_until(lambda: found.counters.messages_filled)
        found.hub.flush()
        assert {one.got for one in listeners} == {"1 2 3 "}
        assert (found.told, found.counters.history_reads["read"], found.counters.messages_filled) == ([], 2, 1)


async def test_a_gap_of_a_channel_that_is_not_subscribed_concerns_nobody() -> None:
    async with house() as found:
        assert not found.recoveries.gap("kept:a")
        assert not found.recoveries.gap("plain")


async def test_only_subscribers_of_a_channel_that_has_lost_messages_are_told() -> None:
    async with house() as found:
        whole, cut = await found.opened("kept:a"), await found.opened("kept:b")
        for channel in ("kept:a", "kept:b"):
            found.publish(channel, "1")
            found.publish(channel, "2", lost=True)
        await found.history.remove("kept:b")
        found.publish("kept:b", "3")
        found.publish("kept:a", "3")
        await wait_until(lambda: found.told)
        await wait_until(lambda: found.counters.messages_filled)
        found.hub.flush()
        position = found.recoveries.position("kept:b")
        assert position is not None
        assert (whole.got, cut.got) == ("1 2 3 ", f"1 missed, {Position(position.epoch, 2)} 3 ")
        assert (found.told, found.counters.channels_missed) == (["kept:b"], 1)


async def test_live_messages_are_not_kept_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "RETRY_SECONDS", (60.0, 60.0))
    async with house(fill_seconds=0.0) as found:
        listener = await found.opened("kept:a")
        found.publish("kept:a", "1")
        found.history.late = True
        found.publish("kept:a", "2", lost=True)
        position = found.publish("kept:a", "3")
        await wait_until(lambda: found.told)
        found.hub.flush()
        assert listener.got == f"1 missed, {Position(position.epoch, 2)} 3 "
        found.publish("kept:a", "4")
        assert listener.got.endswith("3 4 ")


async def test_a_fault_in_telling_a_client_stops_the_channel_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(fill_seconds=0.1) as found:
        listener = await found.opened("kept:a")
        faults = [ZeroDivisionError()]

        def missed(channel: str, position: Position | None) -> None:
            if faults:
                raise faults.pop()

        monkeypatch.setattr(listener, "missed", missed)
        found.publish("kept:a", "1", lost=True)
        await found.history.remove("kept:a")
        found.publish("kept:a", "2")
        await wait_until(lambda: len(found.told) == 2)
        found.publish("kept:a", "3")
        assert listener.got.endswith("3 ")
        assert "history not delivered" in caplog.text


@pytest.mark.parametrize("lost", [False, True])
async def test_without_messages_kept_subscribers_are_told_if_the_top_does_not_come(lost: bool) -> None:
    async with house(grace=0.01) as found:
        listener = await found.opened("counted:a")
        found.publish("counted:a", "1")
        if lost:
            found.publish("counted:a", "2", lost=True)
        reads = found.history.readings
        found.recoveries.gap("counted:a")
        await wait_until(lambda: found.history.readings > reads)
        if lost:
            await wait_until(lambda: found.told)
        else:
            assert await stays_true(lambda: not found.told, 0.05)
        position = found.publish("counted:a", "3")
        told = f"missed, {Position(position.epoch, 2)} " if lost else ""
        assert listener.got == f"1 {told}3 "


async def test_messages_that_are_late_are_not_missed() -> None:
    async with house() as found:
        listener = await found.opened("counted:a")
        late = found.history.append("counted:a", "1")
        found.recoveries.look(0.0)
        await wait_until(lambda: found.recoveries.prepare("counted:a", 0) is not None)
        found.recoveries.receive(late)
        assert found.recoveries.prepare("counted:a", 0) is None
        found.hub.flush()
        assert (listener.got, found.told) == ("1 ", [])


async def test_clients_that_wait_are_told_when_the_bus_refuses_the_channel() -> None:
    async with house() as found:
        acknowledged = found.claim("kept:a")
        awaited = found.recoveries.prepare("kept:a", 0)
        assert awaited is not None
        acknowledged.set_exception(SubscribeError("kept:a", "NOPERM"))
        acknowledged.exception()
        await wait_until(awaited.cancelled)
        found.claim("kept:a").set_result(None)
        await found.join("kept:a")


async def test_a_channel_that_is_left_while_its_history_is_read_leaves_nothing() -> None:
    async with house() as found:
        found.history.late = True
        found.claim("kept:a").set_result(None)
        await wait_until(lambda: found.history.asked)
        found.publish("kept:a", "1")
        assert found.recoveries.buffered
        found.recoveries.closed("kept:a")
        assert found.recoveries.buffered == 0
        found.history.answer()
        assert await stays_true(lambda: found.recoveries.position("kept:a") is None, 0.02)


async def test_clients_that_claim_while_the_bus_is_away_wait_for_the_gap_to_be_filled() -> None:
    async with house() as found:
        first = await found.opened("kept:a")
        found.publish("kept:a", "1")
        again = found.claim("kept:a")
        found.publish("kept:a", "2", lost=True)
        again.set_result(None)
        await asyncio.sleep(0)
        second = await found.join("kept:a", 9)
        found.hub.flush()
        assert (first.got, second.got) == ("1 2 ", "1 2 ")

"""One reading for each channel, whatever the number of clients; and what happens when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest

from relay.errors import SubscribeError
from relay.hub import Hub
from relay.interest import Acknowledged
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from relay.recovery import readings, recoveries
from relay.recovery.recoveries import UNHEARD_SECONDS, Recoveries
from relay.replay import Replay, Resume
from tests.harness.conditions import stays_true, wait_until
from tests.recovery.channel_world import positioned
from tests.recovery.late_history import LateHistory

NAMESPACES = Namespaces(
    named={"kept": ChannelOptions(history_size=10), "counted": ChannelOptions(positions=True)},
)


def payload_only(message: Message) -> bytes:
    """Encode a message as its payload."""
    return message.payload + b" "


class Listener:
    """A subscriber that notes what it gets, and when it was told that it has missed something."""

    echo = True
    encode: Encoder = staticmethod(payload_only)

    def __init__(self, number: int, replay: Replay) -> None:
        self.id = number.to_bytes(16, "big")
        self.replay = replay
        self.got = "".join(message.payload.decode() + " " for message in replay.messages)

    def deliver(self, data: bytes, count: int) -> None:
        self.got += data.decode()

    def missed(self, channel: str, position: Position | None) -> None:
        self.got += f"missed, {position} "


class House:
    """Recoveries over a late history, with a hub that is flushed by hand."""

    def __init__(self, **options: float) -> None:
        self.counters = Counters()
        self.history = LateHistory(NAMESPACES)
        self.hub = Hub(self.counters, lambda: None)
        self.told: list[str] = []
        self.recoveries = Recoveries(
            NAMESPACES, self.history, self.hub, self.counters, self._missed, options.pop("grace", 60.0), **options
        )

    def _missed(self, channels: Collection[str]) -> None:
        for channel in channels:
            self.told.append(channel)
            for one in self.hub.receivers(channel):
                one.missed(channel, self.recoveries.position(channel))

    def claim(self, channel: str) -> Acknowledged:
        """Claim a channel; return what tells that the bus has acknowledged it."""
        acknowledged: Acknowledged = asyncio.get_running_loop().create_future()
        self.recoveries.claimed(channel, acknowledged)
        return acknowledged

    async def join(self, channel: str, resume: Resume = 0) -> Listener:
        """Return a client when it has joined."""
        reading = None
        while (awaited := self.recoveries.prepare(channel, resume, reading)) is not None:
            reading = await asyncio.shield(awaited) or reading
        replay = self.recoveries.join(channel, resume, reading)
        listener = Listener(self.hub.subscribers(channel), replay)
        self.hub.add(channel, listener)
        return listener

    async def opened(self, channel: str) -> Listener:
        """Return a client of a channel that is claimed and acknowledged."""
        self.claim(channel).set_result(None)
        return await self.join(channel)

    def publish(self, channel: str, text: str, *, lost: bool = False) -> Position:
        """Publish a message, which the bus brings, or not."""
        message = self.history.append(channel, text)
        if not lost:
            self.recoveries.receive(message)
            self.hub.flush()
        return message.position


@asynccontextmanager
async def house(**options: float) -> AsyncIterator[House]:
    """Check that nothing is left at the end."""
    found = House(**options)
    yield found
    await found.recoveries.stop()
    assert (len(found.recoveries), found.recoveries.buffered, found.recoveries.rings.owners) == (0, 0, 0)


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


async def test_messages_expire_with_their_history() -> None:
    async with house() as found:
        await found.opened("kept:a")
        position = found.publish("kept:a", "1")
        found.recoveries.look(1.0)
        assert found.recoveries.rings.used
        found.recoveries.look(302.0)
        assert found.recoveries.rings.used == 0
        assert (await found.join("kept:a", position)).replay.recovered


async def test_messages_from_before_the_channel_was_opened_are_not_kept_for_another_lifetime() -> None:
    async with house() as found:
        first, second = found.publish("kept:a", "1"), found.publish("kept:a", "2")
        found.claim("kept:a").set_result(None)
        assert (await found.join("kept:a", first)).got == "2 "
        assert found.recoveries.rings.used
        now = asyncio.get_running_loop().time()
        found.recoveries.look(now + UNHEARD_SECONDS / 2)
        assert found.recoveries.rings.used, "clients that come back at once are served by one reading"
        found.recoveries.look(now + UNHEARD_SECONDS + 1)
        assert found.recoveries.rings.used == 0
        assert (await found.join("kept:a", first)).got == "2 "  # it may still be there
        found.recoveries.look(now + 301.0)
        assert (await found.join("kept:a", second)).replay.recovered
        found.publish("kept:a", "3")
        found.recoveries.look(now + 302.0)
        found.recoveries.look(now + 303.0)
        assert found.recoveries.rings.used, "the last message came just now"
        assert (await found.join("kept:a", second)).got == "3 "


async def test_the_age_of_messages_counts_from_their_reading_not_from_the_claim() -> None:
    """The bus may take its time, or be away: messages may be published meanwhile, and clients then come all at once."""
    async with house() as found:
        loop = asyncio.get_running_loop()
        acknowledged, claimed_at = found.claim("kept:a"), loop.time()
        joining = asyncio.create_task(found.join("kept:a", 2))
        await wait_until(lambda: loop.time() - claimed_at > 0.02)
        first = found.publish("kept:a", "1", lost=True)
        found.publish("kept:a", "2", lost=True)
        acknowledged_at = loop.time()
        acknowledged.set_result(None)
        assert (await joining).got == "1 2 "
        found.recoveries.look(acknowledged_at + UNHEARD_SECONDS - 0.001)
        assert found.recoveries.rings.used
        ttl = NAMESPACES.options("kept:a").history_ttl
        found.recoveries.look(acknowledged_at + ttl - 0.001)
        assert found.recoveries.rings.used == 0
        assert (await found.join("kept:a", first)).got == "2 ", "the history still has it"


async def test_a_history_that_was_removed_is_forgotten() -> None:
    async with house() as found:
        await found.opened("kept:a")
        found.publish("kept:a", "1")
        await found.history.remove("kept:a")
        found.recoveries.forget_history("kept:a")
        assert (await found.join("kept:a", 5)).got == ""

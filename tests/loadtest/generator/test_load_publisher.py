"""Messages leave when they are due; what the server doesn't take is owed, and paid later."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect
from collections.abc import AsyncIterator

import pytest

from relay.loadtest.generator.load_publisher import PUNCTUAL, Publisher, Punctuality, Schedule
from relay.loadtest.generator.payload import Stamp, filler, find
from relay.loadtest.plan.schedule import NANO, Timetable
from tests.harness.conditions import stays_true, wait_until
from tests.harness.raw_websocket import TEXT, Frame
from tests.harness.server_session import take_frame

SIZE = 64
RUN = 0xABC


class Taker(asyncio.WriteTransport):
    """A connection that takes a number of writes and then no more, as a socket does that nobody reads.

    Args:
        publisher: who writes.
        takes: so many writes; None: all.
    """

    def __init__(self, publisher: Publisher, takes: int | None = None) -> None:
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
        """Return what was written so far."""
        data = bytearray(self.data)
        return list(iter(lambda: take_frame(data), None))

    def stamps(self) -> list[Stamp]:
        """Return the messages written so far."""
        found = []
        for frame in self.frames():
            (stamp,), broken = find(frame.payload, filler(SIZE))
            assert broken == []
            found.append(stamp)
        return found


def make(number: int = 0, template: str = "{payload}", epoch: int | None = None) -> Publisher:
    """Return a publisher of channel 5 in a run that begins now."""
    return Publisher(number, 5, RUN, SIZE, template, time.monotonic_ns() if epoch is None else epoch, Punctuality())


def punctuality(publisher: Publisher) -> Punctuality:
    """Return what it takes note in."""
    return publisher._punctuality


def test_a_message_says_when_it_was_due_and_when_it_was_sent() -> None:
    publisher = make(3, epoch=time.monotonic_ns() - 2 * NANO)
    taker = Taker(publisher)
    publisher.owed.append(1_950_000_000)
    publisher.pay()
    (stamp,) = taker.stamps()
    (sent,) = publisher.record
    assert stamp[:5] == (RUN, 3, 5, 0, 1_950_000_000)
    assert stamp.lag == (sent - stamp.due) // 1000
    assert 50_000 <= stamp.lag < 10_000_000
    assert sent >= 2 * NANO


def test_a_message_is_framed_as_the_dialect_says() -> None:
    publisher = make(template='{"data":"{payload}","more":{}}')
    taker = Taker(publisher)
    publisher.owed.append(0)
    publisher.pay()
    (frame,) = taker.frames()
    assert (frame.opcode, frame.fin) == (TEXT, True)
    assert frame.payload.startswith(b'{"data":"rly:')
    assert frame.payload.endswith(b'","more":{}}')
    assert len(frame.payload) == SIZE + len('{"data":"","more":{}}')


def test_without_a_connection_everything_is_owed() -> None:
    publisher = make()
    publisher.owed += [1, 2, 3]
    publisher.pay()
    assert (list(publisher.owed), len(publisher.record)) == ([1, 2, 3], 0)


def test_debts_are_paid_in_order_as_far_as_the_connection_takes_them() -> None:
    publisher = make(epoch=time.monotonic_ns() - NANO)
    publisher.owed += range(1000)
    first = Taker(publisher, takes=3)
    publisher.pay()
    sent = len(first.stamps())
    assert 0 < sent < 1000
    assert len(publisher.owed) == 1000 - sent
    second = Taker(publisher)
    publisher.pay()
    stamps = first.stamps() + second.stamps()
    assert [stamp.sequence for stamp in stamps] == list(range(1000))
    assert [stamp.due for stamp in stamps] == list(range(1000))
    assert list(publisher.record) == sorted(publisher.record)
    assert not publisher.owed


def test_punctual_is_what_is_sent_within_a_second() -> None:
    noted = Punctuality()
    for late in (0, PUNCTUAL - 1, PUNCTUAL, 3 * PUNCTUAL):
        noted.note(2_500_000_000, 2_500_000_000 + late)
    assert noted.punctual == {2: 2}
    assert noted.sent == {2: 1, 3: 2, 5: 1}
    assert noted.lag.total == 4


@pytest.fixture
async def crowd() -> dict[int, Publisher]:
    """The publishers 1 and 3 of four: those of one worker of two, in a run that began half a second ago."""
    epoch = time.monotonic_ns() - NANO // 2
    return {number: make(number, epoch=epoch) for number in (3, 1)}


@pytest.fixture
async def schedule(crowd: dict[int, Publisher]) -> AsyncIterator[Schedule]:
    """Their schedule."""
    made = Schedule(crowd, crowd[1]._epoch)
    yield made
    made.close()


async def test_everybody_sends_what_is_due_when_it_is_due(crowd: dict[int, Publisher], schedule: Schedule) -> None:
    """Not before, and in turn: message m is of publisher m modulo 4."""
    takers = {number: Taker(publisher) for number, publisher in crowd.items()}
    table = Timetable(begin=1, rate=200.0, seconds=0.4, publishers=4)
    schedule.play(table)
    # By a clock that stands still whenever the machine lets this process stand still.
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)
            ticks.append(time.monotonic_ns() - crowd[1]._epoch)

    clock = asyncio.create_task(tick())
    await wait_until(lambda: sum(len(publisher.record) for publisher in crowd.values()) == 40)
    clock.cancel()
    for number, taker in takers.items():
        stamps, record = taker.stamps(), crowd[number].record
        assert [stamp.due for stamp in stamps] == [table.due(message) for message in range(number, 80, 4)]
        assert [stamp.sequence for stamp in stamps] == list(range(20))
        lates = [sent - stamp.due for sent, stamp in zip(record, stamps, strict=True)]
        assert min(lates) >= 0
        # Most of them nearly at once: within 20 ms, as far as this process was there.
        pairs = zip(record, stamps, strict=True)
        assert sorted(bisect(ticks, sent) - bisect(ticks, stamp.due) for sent, stamp in pairs)[10] < 20
    assert await stays_true(lambda: all(len(publisher.record) == 20 for publisher in crowd.values()), 0.05)


async def test_what_falls_due_within_a_millisecond_is_sent_together(
    crowd: dict[int, Publisher], schedule: Schedule
) -> None:
    """Late, but never early; each message still says when it was due."""
    takers = {number: Taker(publisher) for number, publisher in crowd.items()}
    table = Timetable(begin=1, rate=40_000.0, seconds=0.05, publishers=4)
    schedule.play(table)
    await wait_until(lambda: sum(len(publisher.record) for publisher in crowd.values()) == 1000)
    for number, taker in takers.items():
        stamps = taker.stamps()
        assert [stamp.due for stamp in stamps] == [table.due(message) for message in range(number, 2000, 4)]
        assert min(sent - stamp.due for sent, stamp in zip(crowd[number].record, stamps, strict=True)) >= 0
        # Ten each millisecond.
        assert taker.writes <= 60


async def test_a_part_that_begins_later_waits(crowd: dict[int, Publisher], schedule: Schedule) -> None:
    Taker(crowd[1])
    Taker(crowd[3])
    schedule.play(Timetable(begin=1, rate=400.0, seconds=0.01, publishers=4))
    await wait_until(lambda: crowd[1].record and crowd[3].record)
    assert min(crowd[1].record[0], crowd[3].record[0]) >= NANO


async def test_the_next_part_goes_on_with_the_sequence(crowd: dict[int, Publisher], schedule: Schedule) -> None:
    """What was due of the part before is sent all the same."""
    takers = [Taker(crowd[1]), Taker(crowd[3])]
    past = Timetable(begin=0, rate=4e6, seconds=2e-6, publishers=4)
    for _ in range(2):
        schedule.play(past)
    for taker in takers:
        assert [stamp.sequence for stamp in taker.stamps()] == [0, 1, 2, 3]


async def test_nothing_becomes_due_from_the_end_on(crowd: dict[int, Publisher], schedule: Schedule) -> None:
    """But what is due before it is, to the last message, even if the end is still to come when it is told."""
    taker = Taker(crowd[1])
    epoch = crowd[1]._epoch
    schedule.play(Timetable(begin=0, rate=4000.0, seconds=100, publishers=4))
    await wait_until(lambda: len(crowd[1].record) >= 20)
    end = time.monotonic_ns() - epoch + 50_000_000
    schedule.stop(end)
    await wait_until(lambda: time.monotonic_ns() - epoch > end + 50_000_000)
    due = range(250_000, end, 1_000_000)
    assert [stamp.due for stamp in taker.stamps()] == list(due)
    assert list(crowd[3].owed) == list(range(750_000, end, 1_000_000))


async def test_an_end_that_is_over_ends_it_at_once(crowd: dict[int, Publisher], schedule: Schedule) -> None:
    taker = Taker(crowd[1])
    schedule.play(Timetable(begin=0, rate=4000.0, seconds=100, publishers=4))
    await wait_until(lambda: len(crowd[1].record) >= 20)
    schedule.stop(1_000_000)
    count = len(taker.stamps())
    assert await stays_true(lambda: len(taker.stamps()) == count, 0.05)


async def test_a_server_that_takes_no_more_is_owed_and_paid_in_order(
    crowd: dict[int, Publisher], schedule: Schedule
) -> None:
    """Nobody else waits for it; messages are late then, and say so."""
    slow, fast = Taker(crowd[1], takes=1), Taker(crowd[3])
    schedule.play(Timetable(begin=0, rate=4e6, seconds=1e-6, publishers=4))
    assert len(slow.stamps()) == 1
    schedule.play(Timetable(begin=1, rate=400.0, seconds=0.4, publishers=4))
    await wait_until(lambda: len(crowd[3].record) == 41)
    assert (slow.writes, len(crowd[1].owed)) == (1, 40)
    assert len(fast.stamps()) == 41
    rest = Taker(crowd[1])
    crowd[1].pay()
    stamps = slow.stamps() + rest.stamps()
    assert [stamp.sequence for stamp in stamps] == list(range(41))
    assert max(stamp.lag for stamp in rest.stamps()) > 100_000


async def test_without_publishers_nothing_is_due() -> None:
    schedule = Schedule({}, time.monotonic_ns())
    schedule.play(Timetable(0, 100.0, 1, 4))
    schedule.stop(0)
    schedule.close()

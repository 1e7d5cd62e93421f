"""The pacer gives each publisher its messages when they fall due."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect
from collections.abc import AsyncIterator

import pytest

from relay.loadtest.generator.load_publisher import LoadPublisher
from relay.loadtest.generator.pacer import Pacer
from relay.loadtest.plan.schedule import NANO, Schedule
from tests.harness.conditions import stays_true, wait_until
from tests.loadtest.generator.publisher_fixture import RecordingTransport, make


@pytest.fixture
async def publishers() -> dict[int, LoadPublisher]:
    """The publishers 1 and 3 of four: those of one worker of two, in a run that began half a second ago."""
    epoch = time.monotonic_ns() - NANO // 2
    return {number: make(number, epoch=epoch) for number in (3, 1)}


@pytest.fixture
async def pacer(publishers: dict[int, LoadPublisher]) -> AsyncIterator[Pacer]:
    """Their pacer."""
    made = Pacer(publishers, publishers[1]._epoch)
    yield made
    made.close()


async def test_each_publisher_sends_its_messages_when_they_are_due(
    publishers: dict[int, LoadPublisher], pacer: Pacer
) -> None:
    """Not before, and in turn: message m is of publisher m modulo 4."""
    transports = {number: RecordingTransport(publisher) for number, publisher in publishers.items()}
    schedule = Schedule(begin=1, rate=200.0, seconds=0.4, publishers=4)
    pacer.play(schedule)
    # By a clock that stands still whenever the machine lets this process stand still.
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)  # what this clock counts by
            ticks.append(time.monotonic_ns() - publishers[1]._epoch)

    clock = asyncio.create_task(tick())
    await wait_until(lambda: sum(len(publisher.sent_at) for publisher in publishers.values()) == 40)
    clock.cancel()
    for number, transport in transports.items():
        headers, sent_at = transport.headers(), publishers[number].sent_at
        assert [header.due for header in headers] == [schedule.due(message) for message in range(number, 80, 4)]
        assert [header.sequence for header in headers] == list(range(20))
        lates = [sent - header.due for sent, header in zip(sent_at, headers, strict=True)]
        assert min(lates) >= 0
        # Most of them nearly at once: within 20 ms, as far as this process was there.
        pairs = zip(sent_at, headers, strict=True)
        assert sorted(bisect(ticks, sent) - bisect(ticks, header.due) for sent, header in pairs)[10] < 20
    assert await stays_true(lambda: all(len(publisher.sent_at) == 20 for publisher in publishers.values()), 0.05)


async def test_what_falls_due_within_a_millisecond_is_sent_together(
    publishers: dict[int, LoadPublisher], pacer: Pacer
) -> None:
    """Late, but never early; each message still says when it was due."""
    transports = {number: RecordingTransport(publisher) for number, publisher in publishers.items()}
    schedule = Schedule(begin=1, rate=40_000.0, seconds=0.05, publishers=4)
    pacer.play(schedule)
    await wait_until(lambda: sum(len(publisher.sent_at) for publisher in publishers.values()) == 1000)
    for number, transport in transports.items():
        headers = transport.headers()
        assert [header.due for header in headers] == [schedule.due(message) for message in range(number, 2000, 4)]
        assert min(sent - header.due for sent, header in zip(publishers[number].sent_at, headers, strict=True)) >= 0
        # Ten each millisecond.
        assert transport.writes <= 60


async def test_a_schedule_that_begins_later_waits(publishers: dict[int, LoadPublisher], pacer: Pacer) -> None:
    RecordingTransport(publishers[1])
    RecordingTransport(publishers[3])
    pacer.play(Schedule(begin=1, rate=400.0, seconds=0.01, publishers=4))
    await wait_until(lambda: publishers[1].sent_at and publishers[3].sent_at)
    assert min(publishers[1].sent_at[0], publishers[3].sent_at[0]) >= NANO


async def test_the_next_schedule_goes_on_with_the_sequence(publishers: dict[int, LoadPublisher], pacer: Pacer) -> None:
    """What was due of the schedule before is sent all the same."""
    transports = [RecordingTransport(publishers[1]), RecordingTransport(publishers[3])]
    past = Schedule(begin=0, rate=4e6, seconds=2e-6, publishers=4)
    for _ in range(2):
        pacer.play(past)
    for transport in transports:
        assert [header.sequence for header in transport.headers()] == [0, 1, 2, 3]


async def test_nothing_becomes_due_from_the_end_on(publishers: dict[int, LoadPublisher], pacer: Pacer) -> None:
    """But what is due before it is, to the last message, even if the end is still to come when it is told."""
    transport = RecordingTransport(publishers[1])
    epoch = publishers[1]._epoch
    pacer.play(Schedule(begin=0, rate=4000.0, seconds=100, publishers=4))
    await wait_until(lambda: len(publishers[1].sent_at) >= 20)
    end = time.monotonic_ns() - epoch + 50_000_000
    pacer.stop(end)
    await wait_until(lambda: time.monotonic_ns() - epoch > end + 50_000_000)
    due = range(250_000, end, 1_000_000)
    assert [header.due for header in transport.headers()] == list(due)
    assert list(publishers[3].backlog) == list(range(750_000, end, 1_000_000))


async def test_an_end_that_is_over_ends_it_at_once(publishers: dict[int, LoadPublisher], pacer: Pacer) -> None:
    transport = RecordingTransport(publishers[1])
    pacer.play(Schedule(begin=0, rate=4000.0, seconds=100, publishers=4))
    await wait_until(lambda: len(publishers[1].sent_at) >= 20)
    pacer.stop(1_000_000)
    count = len(transport.headers())
    assert await stays_true(lambda: len(transport.headers()) == count, 0.05)


async def test_a_server_that_takes_no_more_gets_the_backlog_in_order_later(
    publishers: dict[int, LoadPublisher], pacer: Pacer
) -> None:
    """No other publisher waits for it; its messages are late then, and their headers say so."""
    slow, fast = RecordingTransport(publishers[1], takes=1), RecordingTransport(publishers[3])
    pacer.play(Schedule(begin=0, rate=4e6, seconds=1e-6, publishers=4))
    assert len(slow.headers()) == 1
    pacer.play(Schedule(begin=1, rate=400.0, seconds=0.4, publishers=4))
    await wait_until(lambda: len(publishers[3].sent_at) == 41)
    assert (slow.writes, len(publishers[1].backlog)) == (1, 40)
    assert len(fast.headers()) == 41
    rest = RecordingTransport(publishers[1])
    publishers[1].send_due()
    headers = slow.headers() + rest.headers()
    assert [header.sequence for header in headers] == list(range(41))
    assert max(header.lag for header in rest.headers()) > 100_000


async def test_without_publishers_nothing_is_due() -> None:
    pacer = Pacer({}, time.monotonic_ns())
    pacer.play(Schedule(0, 100.0, 1, 4))
    pacer.stop(0)
    pacer.close()

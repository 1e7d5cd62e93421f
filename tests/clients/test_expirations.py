"""Clients whose rights expire."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import Callable

import pytest

from relay.clients import expirations as module
from relay.clients.expirations import CLIENTS_PER_TURN, SPREAD_SECONDS, Expirations
from relay.errors import Disconnect
from tests.harness.conditions import wait_until

START = 1_900_000_000.0
YEAR = 365 * 24 * 3600.0


class Client:
    """A client that notes when it was closed."""

    __slots__ = ("_clock", "closed_at")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.closed_at: float | None = None

    def expire(self) -> None:
        assert self.closed_at is None, "it is closed once"
        self.closed_at = self._clock()


class Place:
    """Expirations, and the clocks around them.

    Attributes:
        now: seconds since 1970; may be set.
        at: loop time.
    """

    def __init__(self) -> None:
        self.now, self.at = START, 100.0
        self.expirations = Expirations(lambda: self.now)

    def come(self, expires_at: float) -> Client:
        """Let a client in."""
        client = Client(lambda: self.now)
        self.expirations.add(client, expires_at)
        return client

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Take turns for so long."""
        end = self.at + seconds
        while self.at < end:
            self.at += step
            self.now += step
            self.turn()

    def turn(self) -> int:
        """Take the turns of one moment; return how many."""
        turns = 1
        while self.expirations.turn(self.at):
            turns += 1
        return turns


@pytest.mark.parametrize("ahead", [0.3, 1, 5.5, 63, 64, 65, 100.75, 4095, 4096, 5000, 20_000])
def test_a_client_is_closed_after_its_end_and_not_before(ahead: float) -> None:
    place = Place()
    client = place.come(START + ahead)
    place.pass_time(ahead + 2)
    assert client.closed_at is not None
    assert START + ahead <= client.closed_at <= START + ahead + 1.25
    assert len(place.expirations) == 0


@pytest.mark.parametrize("seed", range(5))
def test_many_clients_with_ends_at_random(seed: int) -> None:
    drawn = random.Random(seed)
    place = Place()
    ends = [START + drawn.choice((10, 300, 8000)) * drawn.random() for _ in range(500)]
    clients = [place.come(end) for end in ends]
    left = {drawn.randrange(500) for _ in range(100)}
    for number in left:
        place.expirations.discard(clients[number], ends[number])
    place.pass_time(8010, step=1.0)
    for number, (end, client) in enumerate(zip(ends, clients, strict=True)):
        if number in left:
            assert client.closed_at is None
        else:
            assert client.closed_at is not None
            assert end <= client.closed_at <= end + 5
    assert len(place.expirations) == 0


@pytest.mark.parametrize("expires_at", [START - 1, START, 0.0, -5.0, float("-inf"), float("nan")])
def test_a_client_that_has_expired_already_is_closed_in_the_next_turn(expires_at: float) -> None:
    place = Place()
    client = place.come(expires_at)
    place.turn()
    assert client.closed_at == START


@pytest.mark.parametrize("expires_at", [START + YEAR, START + 300 * YEAR, 1e300, float("inf")])
def test_ends_that_are_years_ahead_are_fine(expires_at: float) -> None:
    place = Place()
    client = place.come(expires_at)
    place.pass_time(5000, step=5)
    assert client.closed_at is None
    place.expirations.discard(client, expires_at)
    assert len(place.expirations) == 0
    assert not any(place.expirations._levels.values())


def test_thousands_that_expire_together_are_closed_at_an_even_pace() -> None:
    place = Place()
    clients = [place.come(START + 5) for _ in range(5000)]
    place.pass_time(5 + SPREAD_SECONDS + 1, step=0.1)
    moments = sorted(client.closed_at - START - 5 for client in clients if client.closed_at is not None)
    assert len(moments) == 5000
    for number, moment in enumerate(moments):
        assert moment == pytest.approx(SPREAD_SECONDS * number / 5000, abs=0.21)


def test_a_few_are_closed_faster_and_one_at_once() -> None:
    place = Place()
    clients = [place.come(START + 5) for _ in range(50)]
    alone = place.come(START + 20)
    place.pass_time(21, step=0.05)
    moments = sorted(client.closed_at for client in clients if client.closed_at is not None)
    assert len(moments) == 50
    assert 0.4 <= moments[-1] - moments[0] <= 0.6
    assert alone.closed_at == pytest.approx(START + 20, abs=0.06)


def test_batches_of_following_seconds_do_not_wait_for_each_other() -> None:
    """So a client is closed within the same time, however many expire before it."""
    place = Place()
    clients = [(place.come(START + second), second) for second in range(1, 31) for _ in range(300)]
    place.pass_time(45, step=0.1)
    for client, second in clients:
        assert client.closed_at is not None
        assert second <= client.closed_at - START <= second + 3.3


def test_a_turn_takes_some_clients_out_of_buckets_and_lets_others_have_theirs() -> None:
    place = Place()
    for _ in range(CLIENTS_PER_TURN * 3 + 1):
        place.come(START + 5000)
    place.now += 4100
    assert place.turn() == 4
    assert len(place.expirations) == CLIENTS_PER_TURN * 3 + 1


def test_a_clock_that_is_set_forward_ends_what_is_over_then() -> None:
    place = Place()
    near, hours, years = place.come(START + 10), place.come(START + 50_000), place.come(START + 10 * YEAR)
    place.now += 60_000
    place.pass_time(1)
    assert None not in (near.closed_at, hours.closed_at)
    place.pass_time(10)
    assert years.closed_at is None
    place.now += 10 * YEAR
    place.turn()
    assert years.closed_at is not None


def test_a_clock_that_is_set_back_ends_nothing_too_soon() -> None:
    place = Place()
    clients = [place.come(START + ahead) for ahead in (10, 100, 5000)]
    place.now -= 10_000
    later = place.come(START + 20)
    place.pass_time(10_000 + 5000 + 2, step=1.0)
    for client, ahead in zip([*clients, later], (10, 100, 5000, 20), strict=True):
        assert client.closed_at is not None
        assert START + ahead <= client.closed_at <= START + ahead + 2


def test_the_pace_does_not_depend_on_a_clock_that_is_set() -> None:
    place = Place()
    clients = [place.come(START) for _ in range(2000)]
    place.turn()
    place.now -= 100_000
    for _ in range(11):
        place.at += 1
        place.turn()
    assert all(client.closed_at is not None for client in clients)


def test_a_client_that_goes_or_is_given_more_time_while_others_are_closed_is_spared() -> None:
    place = Place()
    clients = [place.come(START + 1) for _ in range(1000)]
    place.pass_time(2)
    spared = [client for client in clients if client.closed_at is None]
    assert len(spared) > 500
    for client in spared:
        place.expirations.discard(client, START + 1)
    place.expirations.discard(spared[0], START + 1)
    place.expirations.add(spared[1], START + 30)
    place.pass_time(20)
    assert all(client.closed_at is None for client in spared)
    place.pass_time(20)
    assert [client.closed_at for client in spared if client.closed_at is not None] == [spared[1].closed_at]
    assert len(place.expirations) == 0


def test_a_fault_in_one_client_does_not_keep_the_others() -> None:
    class Broken(Client):
        def close(self, why: Disconnect) -> None:
            raise ZeroDivisionError

    place = Place()
    place.expirations.add(Broken(lambda: 0.0), START)
    other = place.come(START)
    for _ in range(10):
        try:
            place.at += 1
            place.turn()
        except ZeroDivisionError:
            continue
    assert other.closed_at is not None
    assert len(place.expirations) == 0


@pytest.mark.parametrize("ahead", [60.0, 3600.0, 24 * 3600.0, 30 * 24 * 3600.0])
def test_a_client_with_an_end_costs_less_than_a_hundred_bytes(ahead: float) -> None:
    """Whether they all expire within a minute or within a month. Clients without one are not here at all."""
    place = Place()
    clients = [Client(lambda: 0.0) for _ in range(10_000)]
    ends = [START + ahead * random.random() for _ in clients]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for client, end in zip(clients, ends, strict=True):
            place.expirations.add(client, end)
        each = (tracemalloc.get_traced_memory()[0] - before) / len(clients)
    finally:
        tracemalloc.stop()
    print(f"ends within {ahead:.0f} s: {each:.0f} bytes for each")  # noqa: T201  # shown by -s
    assert each < 100
    assert sum(map(len, place.expirations._levels.values())) < 200


async def test_the_task_closes_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    place = Place()
    task = asyncio.create_task(place.expirations.run())
    clients = [place.come(START + 10) for _ in range(5)]
    await asyncio.sleep(0)
    place.now += 10
    await wait_until(lambda: all(client.closed_at is not None for client in clients))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

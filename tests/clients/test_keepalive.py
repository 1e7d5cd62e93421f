"""The timing wheel, turned by hand."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest

from relay.clients.keepalive import BATCH, TICK_SECONDS, Keepalive
from tests.harness.conditions import stays_true, wait_until


class Client:
    """A connection that answers or not, and notes what happens to it."""

    def __init__(self, *, answers: bool = True) -> None:
        self.slot = -1
        self.answers = answers
        self.heard = True
        self.pings: list[int] = []
        self.closed_at: int | None = None
        self.now = 0

    def ping(self) -> None:
        self.pings.append(self.now)
        self.heard = self.answers

    def check_heard(self) -> None:
        if not self.heard and self.closed_at is None:
            self.closed_at = self.now


def turn(wheel: Keepalive, clients: list[Client], ticks: int) -> None:
    """Let time go by."""
    for _ in range(ticks):
        for client in clients:
            client.now += 1
        for _ in wheel.turn():
            pass


def add(wheel: Keepalive, count: int) -> list[Client]:
    """Let clients come."""
    clients = [Client() for _ in range(count)]
    for client in clients:
        wheel.add(client)
    return clients


def sizes(clients: list[Client]) -> list[int]:
    """Return how many clients each slot has that has any, falling."""
    return sorted(Counter(client.slot for client in clients).values(), reverse=True)


def test_each_client_is_pinged_once_per_interval() -> None:
    wheel = Keepalive(interval=20.0, timeout=5.0)
    clients = add(wheel, 10 * BATCH)
    turn(wheel, clients, 120)
    assert all(len(client.pings) == 3 for client in clients)
    assert all(
        later - earlier == 40
        for client in clients
        for earlier, later in zip(client.pings, client.pings[1:], strict=False)
    )
    assert all(client.closed_at is None for client in clients)


def test_clients_are_pinged_in_batches_that_are_spread_over_the_interval() -> None:
    """To wake for one client costs more than its ping."""
    wheel = Keepalive(interval=20.0, timeout=5.0)
    assert sizes(add(wheel, 10 * BATCH + 1)) == [BATCH] * 10 + [1]
    firsts = set()
    for _ in range(100):
        wheel = Keepalive(interval=20.0, timeout=5.0)
        firsts.add(add(wheel, 1)[0].slot)
    assert len(firsts) > 20


def test_newcomers_fill_the_batches_that_have_shrunk() -> None:
    wheel = Keepalive(interval=20.0, timeout=5.0)
    clients = add(wheel, 10 * BATCH)
    left = {client for number, client in enumerate(clients) if number % 4}
    for client in left:
        wheel.remove(client)
    stayed = [client for client in clients if client not in left]
    assert sizes(stayed + add(wheel, len(left))) == [BATCH] * 10


def test_more_clients_than_batches_are_spread_evenly_and_let_others_have_their_turn() -> None:
    wheel = Keepalive(interval=20.0, timeout=5.0)
    clients = add(wheel, 100 * BATCH)
    assert len(sizes(clients)) == 40
    assert sizes(clients)[0] <= 16 * BATCH
    parts = [sum(1 for _ in wheel.turn()) for _ in range(40)]
    assert sum(parts) == 100
    assert all(len(client.pings) == 1 for client in clients)


@pytest.mark.parametrize(("timeout", "ticks"), [(3.0, 10), (0.1, 2), (10.0, 20)])
def test_a_silent_client_is_closed_a_timeout_after_its_ping(timeout: float, ticks: int) -> None:
    wheel = Keepalive(interval=10.0, timeout=timeout)
    client = Client(answers=False)
    wheel.add(client)
    turn(wheel, [client], 220)
    assert client.closed_at is not None
    assert client.closed_at - client.pings[0] == ticks


def test_a_newcomer_is_not_judged_before_its_first_ping() -> None:
    wheel = Keepalive(interval=1.0, timeout=0.5)
    for _ in range(50):
        client = Client()
        wheel.add(client)
        turn(wheel, [client], 20)
        assert client.closed_at is None
        assert len(client.pings) == 1
        wheel.remove(client)


def test_a_client_that_has_left_is_let_alone() -> None:
    wheel = Keepalive(interval=1.0, timeout=0.5)
    client = Client(answers=False)
    wheel.add(client)
    wheel.remove(client)
    wheel.remove(client)
    turn(wheel, [client], 40)
    assert client.pings == []


def test_who_leaves_between_two_batches_of_a_slot_is_let_alone() -> None:
    """Its close frame may be on its way, or the end of its stream: nothing may be written behind these."""
    wheel = Keepalive(interval=0.01, timeout=0.01)
    clients = add(wheel, BATCH + 2)
    turning = wheel.turn()
    next(turning)
    gone = next(client for client in clients if not client.pings)
    wheel.remove(gone)
    assert list(turning) == []
    assert [client for client in clients if len(client.pings) != 1] == [gone]
    assert gone.pings == []


def test_a_short_interval_has_one_slot_at_least() -> None:
    wheel = Keepalive(interval=0.01, timeout=0.01)
    client = Client()
    wheel.add(client)
    turn(wheel, [client], 3)
    assert len(client.pings) == 3


def test_a_long_interval_costs_nothing_while_nobody_is_there() -> None:
    tracemalloc.start()
    try:
        wheel = Keepalive(interval=3600.0, timeout=10.0)
        clients = [Client() for _ in range(100)]
        for client in clients:
            wheel.add(client)
        for client in clients:
            wheel.remove(client)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


async def test_it_turns_by_itself_and_never_catches_up() -> None:
    """After a stall nobody is judged before answers that have arrived meanwhile could be read."""
    wheel = Keepalive(interval=10.0, timeout=5.0)
    turns = 0

    def count() -> Iterator[None]:
        nonlocal turns
        turns += 1
        return iter(())

    wheel.turn = count  # type: ignore[method-assign]
    task = asyncio.create_task(wheel.run())
    await wait_until(lambda: turns >= 2)
    before = turns
    stalled_until = asyncio.get_running_loop().time() + 5 * TICK_SECONDS
    while asyncio.get_running_loop().time() < stalled_until:
        pass
    assert await stays_true(lambda: turns - before <= 2, TICK_SECONDS / 2)
    task.cancel()

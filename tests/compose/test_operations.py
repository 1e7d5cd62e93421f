"""What an operator does to the stack while clients are connected, and what the clients see of it.

Clients are those of the load test, which come back when they are closed, and whose checker tells what was lost from
what somebody missed who was away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from relay.loadtest.result.result import Result
from tests.compose.stack import DRAIN_DELAY, DRAIN_SECONDS, Stack
from tests.harness.load_test import LoadTest
from tests.harness.websocket_client import connected

CLIENTS = 60

GAP_SECONDS = 30.0
"""The default of RELAY_GAP_SECONDS."""

GOING_AWAY = "1001 going away"


class Load:
    """A load test that is under way.

    Attributes:
        result: what it has shown, once it has ended.
    """

    result: Result


@asynccontextmanager
async def load(stack: Stack, clients: int = CLIENTS, publishers: int = 6) -> AsyncIterator[Load]:
    """Put a load on the stack until the block ends, then until all clients are back.

    Args:
        stack: with nobody connected.
        clients: that only listen; spread over six channels.
        publishers: 10 messages a second each.
    """
    plan = {"clients": clients, "channels": min(6, publishers), "publishers": publishers, "rate": 10 * publishers}
    options = [word for name, value in plan.items() for word in (f"--{name}", str(value))]
    # Ended by hand, when the test has done what it is about.
    options += ["--reconnect", "--duration", "200s", "--warm-up", "0s", "--drain", "20s", "--workers", "1"]
    running = Load()
    async with LoadTest(stack.url, *options) as load_test:
        await stack.has_clients(clients + publishers)
        await stack.more_messages(10 * publishers)
        yield running
        await stack.has_clients(clients + publishers)
        await stack.more_messages(20 * publishers)
        load_test.interrupt()
        outcome = await load_test.ended(60)
        running.result = outcome.result


def check_nothing_lost(result: Result) -> None:
    """Check that nobody missed anything while being connected, and that all who were closed came back."""
    faults = result.faults
    assert result.verdict == [], (result.verdict, faults)
    assert not faults.any, faults
    assert result.delivered > 1000


async def test_messages_cross_from_each_gateway_to_all_others(stack: Stack) -> None:
    gateways = await stack.fresh(3)
    before = [await gateway.count("relay_messages_received_total") for gateway in gateways]
    async with load(stack, publishers=12) as running:
        clients = await stack.clients()
    check_nothing_lost(running.result)
    assert running.result.faults.returned == {}
    # By the number of their clients, not in turn: no gateway has more than a few more than another.
    assert max(clients) - min(clients) <= 3, clients
    # All were spoken to, so each message of a channel had to reach clients on all three.
    after = [await gateway.count("relay_messages_received_total") for gateway in gateways]
    assert all(new > old for new, old in zip(after, before, strict=True))


async def test_scaling_up_takes_new_clients_and_scaling_down_sends_them_away_evenly(stack: Stack) -> None:
    three = await stack.fresh(3)
    async with load(stack) as running:
        await stack.scale(5)
        five = stack.gateways()
        new = [gateway for gateway in five if gateway.container not in {gateway.container for gateway in three}]
        assert len(new) == 2
        await stack.all_serve(new)
        async with connected(*[f"{stack.url}/ws/news"] * 40) as guests:
            # Who was connected stays; who comes goes to where there are fewest.
            assert all(count >= 10 for count in await stack.clients(new))
            assert sum(await stack.clients()) == CLIENTS + 6 + 40
            began = time.monotonic()
            await stack.scale(2)
            gone = [guest for guest in guests if not guest.is_open]
            assert {(guest.close_code, guest.close_reason) for guest in gone} == {(1001, "going away")}
            moments = sorted(guest.closed_at - began for guest in gone if guest.closed_at is not None)
            assert moments[0] > DRAIN_DELAY - 0.5
            assert moments[-1] - moments[0] > DRAIN_SECONDS / 2
            halves = [sum(moment < moments[0] + DRAIN_SECONDS / 2 for moment in moments), len(moments)]
            assert 0.25 < halves[0] / halves[1] < 0.75, moments
    check_nothing_lost(running.result)
    assert set(running.result.faults.returned) == {GOING_AWAY}
    assert len(stack.gateways()) == 2


async def test_a_rolling_restart_replaces_every_gateway_and_nobody_misses_a_thing(stack: Stack) -> None:
    old = await stack.fresh(3)
    async with load(stack) as running:
        done = await asyncio.to_thread(stack.attempt, "deploy/rolling-restart", within=200)
        assert done.returncode == 0, (done.stdout, done.stderr)
        for number, gateway in enumerate(old, 1):
            assert f"{number} of 3: starting a new gateway beside {gateway.name}\n" in done.stdout
        assert done.stdout.endswith("all 3 gateways replaced\n")
        new = stack.gateways()
        assert len(new) == 3
        assert not {gateway.container for gateway in new} & {gateway.container for gateway in old}
        await stack.has_clients(CLIENTS + 6)
        clients = await stack.clients(new)
        assert max(clients) <= 2 * min(clients), clients
    check_nothing_lost(running.result)
    assert set(running.result.faults.returned) == {GOING_AWAY}
    # Each at least once; and few of them twice, as who is sent away goes where there are fewest, to the newest.
    assert CLIENTS + 6 <= sum(running.result.faults.returned.values()) <= 2 * (CLIENTS + 6)


async def test_a_rolling_restart_stops_at_a_gateway_that_does_not_get_ready(stack: Stack) -> None:
    old = await stack.fresh(2)
    async with load(stack) as running:
        command = ["deploy/rolling-restart", "--timeout", "8"]
        done = await asyncio.to_thread(stack.attempt, *command, RELAY_BROKER_URL="redis://nowhere.invalid")
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert "isn't ready after 8 seconds" in done.stdout
        assert "0 of 2 gateways replaced" in done.stdout
        assert {gateway.container for gateway in stack.gateways()} == {gateway.container for gateway in old}
    check_nothing_lost(running.result)
    assert running.result.faults.returned == {}


async def test_clients_of_a_killed_gateway_come_back_and_the_others_notice_nothing(stack: Stack) -> None:
    gateways = await stack.fresh(3)
    before = [await gateway.count("relay_messages_received_total") for gateway in gateways]
    # Two publishers are on two gateways at most: one has nobody who publishes, so no message can be gone with it.
    async with load(stack, publishers=2) as running:
        after = [await gateway.count("relay_messages_received_total") for gateway in gateways]
        silent = next(gateway for gateway, old, new in zip(gateways, before, after, strict=True) if old == new)
        (clients,) = await stack.clients([silent])
        await asyncio.to_thread(stack.run, "docker", "kill", silent.container)
    check_nothing_lost(running.result)
    assert sum(running.result.faults.returned.values()) == clients > 10
    assert len(stack.gateways()) == 2


async def test_with_a_killed_gateway_only_that_is_lost_which_it_had_just_been_told(stack: Stack) -> None:
    gateways = await stack.fresh(3)
    before = [await gateway.count("relay_messages_received_total") for gateway in gateways]
    async with load(stack, publishers=2) as running:
        after = [await gateway.count("relay_messages_received_total") for gateway in gateways]
        speaking = next(gateway for gateway, old, new in zip(gateways, before, after, strict=True) if old < new)
        began = time.time()
        await asyncio.to_thread(stack.run, "docker", "kill", speaking.container)
        ended = time.time()
    faults = running.result.faults
    check_only_lost(running.result, began, ended)
    # At most a second's messages of two publishers to thirty clients each; none when nothing was under way.
    assert faults.lost <= 2 * 10 * CLIENTS // 2


async def test_a_restart_of_redis_duplicates_nothing_and_loses_only_while_it_is_away(stack: Stack) -> None:
    await stack.fresh(3)
    async with load(stack) as running:
        began = time.time()
        await asyncio.to_thread(stack.compose, "restart", "redis")
        await stack.has_clients(CLIENTS + 6)
        ended = time.time()
    # All who may have missed something are closed, one after the other, and miss what comes until they are back.
    check_only_lost(running.result, began, ended + GAP_SECONDS)
    # Publishers whose messages were under way were told.
    returned = dict(running.result.faults.returned)
    assert returned.pop("1012 messages missed", 0) <= CLIENTS + 6
    assert set(returned) <= {"1013 delivery unknown", "1013 bus unavailable"}
    assert sum(returned.values()) <= 12
    async with load(stack) as running:
        pass
    check_nothing_lost(running.result)
    assert running.result.faults.returned == {}


def check_only_lost(result: Result, began: float, ended: float) -> None:
    """Check that nothing went wrong but losses, and these only between two moments, in seconds since 1970."""
    faults = result.faults
    counts = (faults.duplicated, faults.reordered, faults.foreign, faults.unexpected, faults.unsent)
    assert not any(counts), faults
    assert not faults.closed | faults.refused, faults
    start = datetime.fromisoformat(result.started).timestamp()
    # The start is known to the second, and a loss is noticed with the next message that comes.
    within = [began - start - 3 <= incident.moment <= ended - start + 3 for incident in faults.incidents]
    assert all(within), (began - start, ended - start, faults.incidents)

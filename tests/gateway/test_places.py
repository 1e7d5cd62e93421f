"""Which clients get in, and what is left of those that don't."""

from __future__ import annotations

import asyncio

import pytest

from relay import Gateway
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.gateway.admissions import (
    SUBSCRIBERS,
    WAYS,
    Authenticator,
    ask,
    every_way,
    guarded,
    nothing_is_left,
    refusals,
    success,
)
from tests.harness.conditions import PATIENCE_SECONDS, stays_true, wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket


def claims(gateway: Gateway) -> int:
    """Return how many clients are subscribed to a channel, or wait for it."""
    return sum(interest.claims for interest in parts_of(gateway).context.node._interests.values())


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_places_are_given_to_those_who_were_identified(way: str) -> None:
    """Who waits has no place yet; so of two who wait for the last one, one is refused."""
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with (
        guarded(authenticator, max_connections=1) as gateway,
        RawWebSocket(gateway.port) as one,
        RawWebSocket(gateway.port) as other,
    ):
        for client in (one, other):
            await client.send(WAYS[way])
        await wait_until(lambda: len(authenticator.asked) == 2)
        event.set()
        statuses = sorted([(await client.response()).status for client in (one, other)])
        assert statuses == [success(way), 503]
        assert refusals(gateway, way) == {"full": 1}


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_of_two_who_wait_for_the_bus_one_gets_the_last_place(way: str, late_bus: LateBus) -> None:
    async with guarded(Authenticator(), max_connections=1) as gateway:
        async with RawWebSocket(gateway.port) as one, RawWebSocket(gateway.port) as other:
            for client in (one, other):
                await client.send(WAYS[way])
            await wait_until(lambda: claims(gateway) == 2)
            late_bus.acknowledge("a")
            statuses = sorted([(await client.response()).status for client in (one, other)])
            assert statuses == [success(way), 503]
        assert gateway.counters.connections_accepted == 1
        late_bus.futures.clear()


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_a_client_that_the_bus_refuses_takes_no_place_from_another(way: str, late_bus: LateBus) -> None:
    """Idle polling clients give up their places to newcomers, but not to one that can't come in."""
    async with (
        guarded(Authenticator(), max_connections=4) as gateway,
        RawWebSocket(gateway.port) as client,
        RawWebSocket(gateway.port) as one,
        RawWebSocket(gateway.port) as other,
    ):
        await client.send(WAYS[way])
        await wait_until(lambda: claims(gateway) == 1)
        late_bus.futures["b"] = asyncio.get_running_loop().create_future()
        late_bus.futures["b"].set_result(None)
        for _ in range(2):
            assert (await get(gateway.port, "/poll/b?wait=0")).status == 200
        for websocket in (one, other):
            assert (await websocket.upgrade("/ws/b", "Origin: https://page.example")).status == 101
        late_bus.refuse("a")
        response = await client.response()
        assert (response.status, response.text) == (503, "the bus refused the subscription\n")
        assert refusals(gateway, way) == {"bus_refused": 1}
        assert (gateway.counters.polls_evicted, gateway.counters.connections_open) == (0, 4)
        late_bus.futures.clear()


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_the_bus_may_take_no_longer_than_a_handshake(way: str, late_bus: LateBus) -> None:
    """Clients give up by themselves otherwise, and are told nothing."""
    async with guarded(Authenticator(), handshake_timeout=0.2, broker_timeout=60) as gateway:
        async with RawWebSocket(gateway.port) as client:
            response = await ask(client, way)
        assert (response.status, response.text) == (503, "the bus did not acknowledge the subscription in time\n")
        assert refusals(gateway, way) == {"bus_timeout": 1}
        assert late_bus.callbacks_of("a") == 0


async def test_many_who_wait_are_let_in_together_and_leave_nothing() -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator) as gateway:
        clients = [RawWebSocket(gateway.port) for _ in range(40)]
        try:
            for number, client in enumerate(clients):
                await client.__aenter__()
                await client.send(WAYS[("websocket", "event stream")[number % 2]])
            await wait_until(lambda: len(authenticator.asked) == 40)
            for client in clients[::4]:
                client.abort()
            await wait_until(lambda: authenticator.cancelled == 10)
            assert await stays_true(lambda: len(parts_of(gateway).context.registry) == 0, 0.05)
            event.set()
            await wait_until(lambda: len(parts_of(gateway).context.registry) == 30)
        finally:
            for client in clients:
                client.close()
        await wait_until(lambda: nothing_is_left(gateway))
        assert gateway.counters.connections_accepted == 30


@every_way
async def test_a_drain_does_not_wait_for_it(way: str, caplog: pytest.LogCaptureFixture) -> None:
    authenticator = Authenticator.waiting_for(asyncio.Event())
    async with guarded(authenticator, handshake_timeout=60) as gateway, RawWebSocket(gateway.port) as client:
        parts = parts_of(gateway)
        await client.send(WAYS[way])
        await wait_until(lambda: authenticator.asked)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await gateway.drain()
        if way in ("websocket", "event stream"):
            response = await client.response()
            assert (response.status, response.text) == (503, "this gateway is shutting down\n")
            assert refusals(gateway, way) == {"draining": 1}
        else:
            await client.end()
        await wait_until(lambda: authenticator.cancelled == 1)
        assert parts.context.node.interests == 0
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_one_that_answers_during_a_drain_lets_nobody_in(way: str) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
        await client.send(WAYS[way])
        await wait_until(lambda: authenticator.asked)
        parts_of(gateway).context.registry.draining = True
        event.set()
        assert (await client.response()).status == 503
        assert refusals(gateway, way) == {"draining": 1}


@every_way
async def test_a_client_that_leaves_meanwhile_leaves_nothing(way: str, caplog: pytest.LogCaptureFixture) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator, handshake_timeout=60) as gateway:
        for number in range(3):
            async with RawWebSocket(gateway.port) as client:
                await client.send(WAYS[way])
                await wait_until(lambda number=number: len(authenticator.asked) == number + 1)
                client.abort()
            await wait_until(lambda number=number: authenticator.cancelled == number + 1)
        await wait_until(lambda: nothing_is_left(gateway))
        event.set()
        assert gateway.counters.connections_accepted == 0
        assert gateway.counters.messages_received == 0
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]

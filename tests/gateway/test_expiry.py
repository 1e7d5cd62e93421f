"""Rights that end: at the door, and for clients of every kind that are connected."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay import Gateway
from relay.auth.authenticator import Identity
from relay.clients.long_poll import LongPoll
from tests.clients.conftest import short_close_timeout as short_close_timeout
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
from tests.harness.conditions import stays_true, wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import let_an_hour_pass, parts_of
from tests.harness.poll_client import PollClient
from tests.harness.raw_websocket import TEXT, RawWebSocket
from tests.harness.websocket_client import connected

EXPIRED = (1008, "token expired")

PATIENCE = 30.0


def ends_in(seconds: float) -> Authenticator:
    """Return an authenticator of clients whose rights all end at one moment."""
    given: list[Identity] = []

    def identify() -> Identity:
        if not given:  # not before the first of them comes: the gateway may take its time to start
            given.append(Identity("ann", expires_at=time.time() + seconds))
        return given[0]

    return Authenticator(identify)


def clients_of(gateway: Gateway) -> int:
    """Return how many clients are still to be closed for their end."""
    return len(parts_of(gateway).context.registry.expirations)


async def test_a_websocket_is_closed_after_its_end() -> None:
    async with guarded(ends_in(600), allowed_origins=None) as gateway, connected(f"{gateway.url}/ws/a") as (client,):
        assert clients_of(gateway) == 1
        let_an_hour_pass(gateway)
        assert await client.ended(PATIENCE) == EXPIRED
        assert gateway.counters.disconnects == {"TOKEN_EXPIRED": 1}
        await wait_until(lambda: gateway.counters.connections_closed == {1008: 1})
        assert clients_of(gateway) == 0


async def test_an_event_stream_ends_with_an_event() -> None:
    async with guarded(ends_in(600)) as gateway, EventStreamClient(gateway.port, "/sse/a") as client:
        let_an_hour_pass(gateway)
        assert await client.to_the_end(PATIENCE) == []
        assert client.closed == EXPIRED
        await wait_until(lambda: gateway.counters.connections_closed == {1008: 1})
        assert gateway.counters.disconnects == {"TOKEN_EXPIRED": 1}


async def test_a_poll_that_waits_is_answered_and_the_next_one_is_refused() -> None:
    async with guarded(ends_in(600)) as gateway:
        client = PollClient(gateway.port, "a")
        waiting = asyncio.create_task(client.poll(wait=25))
        registry = parts_of(gateway).context.registry
        await wait_until(lambda: any(isinstance(poll, LongPoll) and poll._waiting for poll in registry))
        let_an_hour_pass(gateway)
        assert await waiting == []
        assert client.answer["closed"] == {"code": 1008, "reason": "token expired"}
        assert gateway.counters.disconnects == {"TOKEN_EXPIRED": 1}
        assert (await client.ask(0)).status == 401
        assert gateway.counters.connections_refused == {"expired": 1}


async def test_a_polling_client_that_does_not_poll_ends_too() -> None:
    async with guarded(ends_in(600)) as gateway:
        client = PollClient(gateway.port, "a")
        await client.poll(wait=0)
        let_an_hour_pass(gateway)
        await wait_until(lambda: gateway.counters.polls_open == 0)
        assert gateway.counters.connections_closed == {1008: 1}
        assert clients_of(gateway) == 0


async def test_those_without_an_end_stay_and_are_not_kept_anywhere() -> None:
    async with (
        guarded(Authenticator(), allowed_origins=None) as gateway,
        connected(f"{gateway.url}/ws/a") as (client,),
    ):
        assert clients_of(gateway) == 0
        assert await stays_true(lambda: client.is_open, 0.5)


async def test_one_that_leaves_before_its_end_is_forgotten() -> None:
    async with guarded(ends_in(3600)) as gateway:
        for way in SUBSCRIBERS[:2]:
            async with RawWebSocket(gateway.port) as client:
                await ask(client, way)
                assert clients_of(gateway) == 1
                client.abort()
            await wait_until(lambda: nothing_is_left(gateway))
            assert clients_of(gateway) == 0


async def test_what_comes_after_the_close_is_not_published(short_close_timeout: None) -> None:
    """A client may well go on when it sees a close frame."""
    async with (
        guarded(ends_in(600)) as gateway,
        RawWebSocket(gateway.port) as client,
    ):
        assert (await ask(client, "websocket")).status == 101
        await client.send_frame(TEXT, b"before")
        await wait_until(lambda: gateway.counters.messages_received == 1)
        let_an_hour_pass(gateway)
        assert await client.close_frame(PATIENCE) == EXPIRED
        for _ in range(5):
            await client.send_frame(TEXT, b"behind")
        await client.end()
        await wait_until(lambda: nothing_is_left(gateway))
        assert gateway.counters.messages_received == 1


@every_way
async def test_one_whose_right_is_over_is_not_let_in(way: str) -> None:
    async with guarded(ends_in(-1)) as gateway, RawWebSocket(gateway.port) as client:
        response = await ask(client, way)
        assert (response.status, response.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert "your right to be here has expired" in response.text
        assert refusals(gateway, way) == {"http_publish 401" if way == "publish" else "expired": 1}


@pytest.mark.parametrize("expires_at", [float("nan"), float("-inf"), 0.0])
async def test_what_is_no_moment_of_the_future_is_over(expires_at: float) -> None:
    """A program around the gateway can give anything."""
    authenticator = Authenticator(lambda: Identity("ann", expires_at=expires_at))
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
        assert (await ask(client, "websocket")).status == 401


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_one_whose_right_ends_while_it_waits_for_the_bus_is_not_let_in(way: str, late_bus: LateBus) -> None:
    async with guarded(ends_in(600)) as gateway, RawWebSocket(gateway.port) as client:
        await client.send(WAYS[way])
        await wait_until(lambda: late_bus.callbacks_of("a") == 1)
        let_an_hour_pass(gateway)
        late_bus.acknowledge("a")
        assert (await client.response()).status == 401
        assert refusals(gateway, way) == {"expired": 1}
        late_bus.futures.clear()


async def test_ends_that_are_far_away_are_fine() -> None:
    for expires_at in (float("inf"), 1e300, time.time() + 1e9):
        authenticator = Authenticator(lambda at=expires_at: Identity("ann", expires_at=at))  # type: ignore[misc]
        async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
            assert (await ask(client, "websocket")).status == success("websocket")
            assert clients_of(gateway) == 1


async def test_a_drain_goes_on_beside_it() -> None:
    async with guarded(ends_in(600), allowed_origins=None, drain_seconds=1) as gateway:
        async with connected(*[f"{gateway.url}/ws/a"] * 20) as clients:
            draining = asyncio.create_task(gateway.drain())
            await wait_until(lambda: gateway.counters.disconnects)
            let_an_hour_pass(gateway)
            await draining
            endings = {await client.ended() for client in clients}
        assert endings <= {EXPIRED, (1001, "going away")}
        assert gateway.counters.connections_open == 0

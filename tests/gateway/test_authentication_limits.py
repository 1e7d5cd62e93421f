"""How often an address may fail to say who it is, and how many authentications may wait."""

from __future__ import annotations

import asyncio

import pytest

from relay.auth.authenticator import Identity
from relay.auth.credential import MISSING, Unauthenticated
from relay.errors import Refused
from relay.gateway.proxy_phase import ProxyPhase
from relay.limits import gateway_limits
from tests.fuzz.memory_transport import MemoryTransport
from tests.gateway.admissions import WAYS, Authenticator, every_way, guarded, success
from tests.gateway.limited import come, every_subscriber, staying
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of


@every_way
async def test_after_too_many_failures_the_authenticator_is_not_asked_until_the_address_has_calmed_down(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_limits, "FAILURES_PERIOD_SECONDS", 1.5)

    def refuse() -> Identity:
        raise Unauthenticated("wrong_key", "no")

    authenticator = Authenticator(refuse)
    async with guarded(authenticator, max_failed_authentications=3) as gateway, staying() as stack:
        for _ in range(3):
            assert (await come(stack, gateway, way)).status == 401
        refused = await come(stack, gateway, way)
        assert (refused.status, refused.text) == (429, "too many failed authentications from this address\n")
        assert refused.headers["retry-after"] == "1"
        assert len(authenticator.asked) == 3
        assert gateway.counters.limits_reached == {"failed_authentications": 1}

        async def asked_again() -> bool:
            return (await come(stack, gateway, way)).status == 401

        await wait_until(asked_again)
        assert len(authenticator.asked) == 4


@every_way
async def test_requests_without_a_credential_are_no_failures(way: str) -> None:
    """Nothing can be tried out by them: a page that isn't logged in must not shut out others of its office."""

    def refuse() -> Identity:
        raise Unauthenticated(MISSING, "no")

    async with guarded(Authenticator(refuse), max_failed_authentications=1) as gateway, staying() as stack:
        for _ in range(3):
            assert (await come(stack, gateway, way)).status == 401


async def test_an_authenticator_that_waits_fails_as_well() -> None:
    async def refuse() -> Identity:
        await asyncio.sleep(0)
        raise Refused(401, "no")

    async with guarded(Authenticator(refuse), max_failed_authentications=2) as gateway, staying() as stack:
        statuses = [(await come(stack, gateway, way)).status for way in ("websocket", "poll", "publish")]
        assert statuses == [401, 401, 429]


@every_way
async def test_authentications_that_wait_count_until_they_are_decided(way: str) -> None:
    """Else an address could try out any number at once, as none has failed yet."""
    event = asyncio.Event()

    async def refuse() -> Identity:
        await event.wait()
        raise Refused(401, "no")

    authenticator = Authenticator(refuse)
    async with guarded(authenticator, max_failed_authentications=3) as gateway, staying() as stack:
        waiting = [asyncio.create_task(come(stack, gateway, way)) for _ in range(3)]
        await wait_until(lambda: len(authenticator.asked) == 3)
        assert (await come(stack, gateway, way)).status == 429
        event.set()
        assert [(await one).status for one in waiting] == [401] * 3
        assert (await come(stack, gateway, way)).status == 429
        assert len(authenticator.asked) == 3


async def test_authentications_that_begin_in_one_tick_count_for_one_another() -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator, max_failed_authentications=3) as gateway:
        loop, front_door = asyncio.get_running_loop(), parts_of(gateway).front_door
        clients = [MemoryTransport(loop, ProxyPhase(front_door, "127.0.0.1")) for _ in range(8)]
        for client in clients:
            client.send(WAYS["websocket"])
        await wait_until(lambda: sum(client.written.startswith(b"HTTP/1.1 429") for client in clients) == 5)
        assert len(authenticator.asked) == 3
        event.set()
        await wait_until(lambda: sum(client.written.startswith(b"HTTP/1.1 101") for client in clients) == 3)
        for client in clients:
            client.reset()


@every_way
async def test_authentications_that_succeed_late_do_not_count(way: str) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator, max_failed_authentications=2) as gateway, staying() as stack:
        waiting = [asyncio.create_task(come(stack, gateway, way)) for _ in range(2)]
        await wait_until(lambda: len(authenticator.asked) == 2)
        event.set()
        assert [(await one).status for one in waiting] == [success(way)] * 2
        for _ in range(3):
            assert (await come(stack, gateway, way)).status == success(way)


@every_subscriber
@pytest.mark.parametrize("state", ["full", "draining"])
async def test_a_gateway_that_lets_nobody_in_asks_nobody_who_it_is(way: str, state: str) -> None:
    authenticator = Authenticator()
    async with guarded(authenticator, max_connections=1) as gateway, staying() as stack:
        registry = parts_of(gateway).context.registry
        if state == "full":
            assert (await come(stack, gateway, "websocket")).status == 101
        else:
            registry.draining = True
        asked = len(authenticator.asked)
        assert (await come(stack, gateway, way)).status == 503
        assert len(authenticator.asked) == asked
        assert gateway.counters.connections_refused == {state: 1}
        registry.draining = False

"""What one address and one user may take, and how many clients may come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from relay import Gateway
from relay.auth.authenticator import Identity
from relay.auth.credential import MISSING, Unauthenticated
from relay.errors import Refused
from relay.gateway.proxy_phase import ProxyPhase
from relay.limits import gateway_limits
from tests.fuzz.memory_transport import MemoryTransport
from tests.gateway.admissions import SUBSCRIBERS, WAYS, Authenticator, ask, every_way, guarded, nothing_is_left, success
from tests.harness.conditions import wait_until
from tests.harness.http_response import HttpResponse, get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket

every_subscriber = pytest.mark.parametrize("way", SUBSCRIBERS)


def counted(gateway: Gateway) -> int:
    """Return how many addresses and users the gateway counts clients of."""
    return len(parts_of(gateway).front_door.limits.connections)


async def come(stack: AsyncExitStack, gateway: Gateway, way: str, *headers: str) -> HttpResponse:
    """Ask to come in, and stay."""
    client = await stack.enter_async_context(RawWebSocket(gateway.port))
    head, _, body = WAYS[way].partition(b"\r\n\r\n")
    extra = "".join(f"\r\n{header}" for header in headers).encode()
    await client.send(head + extra + b"\r\n\r\n" + body)
    return await client.response()


@asynccontextmanager
async def staying() -> AsyncIterator[AsyncExitStack]:
    """Keep the clients of a test until its end."""
    async with AsyncExitStack() as stack:
        yield stack


@every_subscriber
async def test_an_address_with_too_many_clients_is_refused_before_the_authenticator_is_asked(way: str) -> None:
    authenticator = Authenticator()
    async with guarded(authenticator, max_connections_per_address=2) as gateway, staying() as stack:
        for _ in range(2):
            assert (await come(stack, gateway, way)).status == success(way)
        refused = await come(stack, gateway, way)
        assert (refused.status, refused.text) == (429, "too many clients are connected from this address\n")
        assert int(refused.headers["retry-after"]) > 0
        assert len(authenticator.asked) == 2
        assert gateway.counters.connections_refused == {"connections_per_address": 1}
        assert gateway.counters.limits_reached == {"connections_per_address": 1}


async def test_all_kinds_of_clients_count_together() -> None:
    async with guarded(Authenticator(), max_connections_per_address=3) as gateway, staying() as stack:
        for way in SUBSCRIBERS:
            assert (await come(stack, gateway, way)).status == success(way)
        for way in SUBSCRIBERS:
            assert (await come(stack, gateway, way)).status == 429


@every_subscriber
async def test_what_an_address_has_is_given_back_when_its_clients_leave(way: str) -> None:
    async with guarded(Authenticator(), max_connections_per_address=1, max_connections_per_user=1) as gateway:
        for _ in range(3):
            async with staying() as stack:
                assert (await come(stack, gateway, way)).status == success(way)
                assert counted(gateway) == 2
            if way == "poll":
                for client in list(parts_of(gateway).polling_clients):
                    client.evict()
            await wait_until(lambda: counted(gateway) == 0)


@every_subscriber
@pytest.mark.parametrize("status", [401, 403])
async def test_a_client_that_is_refused_leaves_nothing_counted(way: str, status: int) -> None:
    def refuse() -> Identity:
        raise Refused(status, "no")

    async with guarded(Authenticator(refuse), max_connections_per_address=1) as gateway, staying() as stack:
        for _ in range(3):
            assert (await come(stack, gateway, way)).status == status
        assert counted(gateway) == 0


@every_subscriber
async def test_clients_that_wait_for_the_authenticator_count_too(way: str) -> None:
    """Else one address could have any number of handshakes at a time."""
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator, max_connections_per_address=1) as gateway:
        async with RawWebSocket(gateway.port) as first, RawWebSocket(gateway.port) as second:
            await first.send(WAYS[way])
            await wait_until(lambda: len(authenticator.asked) == 1)
            assert (await ask(second, way)).status == 429
            first.abort()
            await wait_until(lambda: counted(gateway) == 0)
        assert authenticator.cancelled == 1
        await wait_until(lambda: nothing_is_left(gateway))


async def test_the_polls_of_a_client_are_one_client() -> None:
    async with guarded(Authenticator(), max_connections_per_address=1) as gateway:
        cursor = (await get(gateway.port, "/poll/a?wait=0")).json["cursor"]
        for _ in range(3):
            answer = await get(gateway.port, f"/poll/a?wait=0&cursor={cursor}")
            assert answer.status == 200
            cursor = answer.json["cursor"]
        assert (await get(gateway.port, "/poll/a?wait=0")).status == 429


@every_subscriber
async def test_behind_a_trusted_proxy_clients_have_addresses_of_their_own_and_ipv6_counts_by_64_bits(way: str) -> None:
    settings: dict[str, Any] = {"max_connections_per_address": 1, "trusted_proxies": ("127.0.0.1",)}
    async with guarded(Authenticator(), **settings) as gateway, staying() as stack:
        for address, status in (
            ("198.51.100.1", success(way)),
            ("198.51.100.2", success(way)),
            ("198.51.100.1", 429),
            ("2001:db8::1", success(way)),
            ("2001:db8::2", 429),
            ("2001:db8:0:1::1", success(way)),
        ):
            assert (await come(stack, gateway, way, f"X-Forwarded-For: {address}")).status == status, address


@every_subscriber
async def test_a_limit_that_is_not_set_is_one_of_public_addresses(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer that RELAY_TRUSTED_PROXIES doesn't name has a private address, and is all of its clients."""
    monkeypatch.setattr("relay.settings.limits.CONNECTIONS_PER_ADDRESS", 1)
    async with guarded(Authenticator(), trusted_proxies=("127.0.0.1",)) as gateway, staying() as stack:
        for address, second in (("10.0.0.1", success(way)), ("8.8.8.8", 429)):
            header = f"X-Forwarded-For: {address}"
            assert (await come(stack, gateway, way, header)).status == success(way)
            assert (await come(stack, gateway, way, header)).status == second


@every_subscriber
@pytest.mark.parametrize("header", ["Forwarded: x", "Forwarded: for=9.9.9.9"])
async def test_no_header_lifts_the_limits_of_a_client_behind_a_trusted_proxy(
    way: str, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy passes on what it doesn't know. The client must not be taken for the proxy, which has no limits."""
    monkeypatch.setattr("relay.settings.limits.CONNECTIONS_PER_ADDRESS", 1)
    authenticator = Authenticator()
    async with guarded(authenticator, trusted_proxies=("127.0.0.1",)) as gateway, staying() as stack:
        real = "X-Forwarded-For: 8.8.8.8"
        assert (await come(stack, gateway, way, real)).status == success(way)
        assert (await come(stack, gateway, way, real, header)).status == 400
        assert (await come(stack, gateway, way, real)).status == 429
        assert len(authenticator.asked) == 1


@every_subscriber
async def test_a_user_with_too_many_clients_is_refused_from_wherever_they_come(way: str) -> None:
    names = iter(["ann", "ann", "ann", "bob", None, None])
    authenticator = Authenticator(lambda: Identity(next(names)))
    settings: dict[str, Any] = {"max_connections_per_user": 2, "trusted_proxies": ("127.0.0.1",)}
    async with guarded(authenticator, **settings) as gateway, staying() as stack:
        for number, status in enumerate((success(way), success(way), 429, success(way), success(way), success(way))):
            answer = await come(stack, gateway, way, f"X-Forwarded-For: 198.51.100.{number}")
            assert answer.status == status
            if status == 429:
                assert answer.text == "too many clients of this user are connected\n"
        assert gateway.counters.limits_reached == {"connections_per_user": 1}
        assert gateway.counters.connections_refused == {"connections_per_user": 1}


@every_subscriber
async def test_too_many_new_clients_are_refused_before_their_requests_are_read(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_limits, "NEW_CONNECTIONS_BURST_SECONDS", 2)
    authenticator = Authenticator()
    async with guarded(authenticator, max_new_connections_per_second=1) as gateway, staying() as stack:
        for _ in range(2):
            assert (await come(stack, gateway, way)).status == success(way)
        refused = await come(stack, gateway, way)
        assert (refused.status, refused.text) == (503, "too many clients connect at the same time\n")
        assert int(refused.headers["retry-after"]) > 0
        assert len(authenticator.asked) == 2
        assert gateway.counters.limits_reached == {"new_connections": 1}
        assert (await get(gateway.port, "/healthz")).status == 200
        assert (await come(stack, gateway, "publish")).status == 200
        await wait_until(lambda: parts_of(gateway).front_door.limits.connections._due < gateway_time() + 1)
        assert (await come(stack, gateway, way)).status == success(way)


@every_subscriber
async def test_one_address_can_not_use_up_the_rate_of_new_clients(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even with requests that are refused, which cost it nothing."""
    monkeypatch.setattr(gateway_limits, "NEW_CONNECTIONS_BURST_SECONDS", 2)
    settings: dict[str, Any] = {"max_new_connections_per_second": 6, "trusted_proxies": ("127.0.0.1",)}

    def refuse() -> Identity:
        raise Refused(401, "no")

    async with guarded(Authenticator(refuse), **settings) as gateway, staying() as stack:
        flooder, other = "X-Forwarded-For: 8.8.8.8", "X-Forwarded-For: 9.9.9.9"
        statuses = [(await come(stack, gateway, way, flooder)).status for _ in range(20)]
        assert 3 <= statuses.count(401) < 10
        refused = await come(stack, gateway, way, flooder)
        assert (refused.status, refused.text) == (429, "too many clients connect from this address\n")
        assert int(refused.headers["retry-after"]) > 0
        assert set(gateway.counters.limits_reached) == {"new_connections_per_address"}
        assert (await come(stack, gateway, way, other)).status == 401


def gateway_time() -> float:
    """Return the time of the gateway's clock."""
    return asyncio.get_running_loop().time()


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


async def test_users_of_an_authenticator_that_a_program_brings_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever RELAY_AUTH is: the names are the program's."""
    monkeypatch.setattr("relay.settings.limits.CONNECTIONS_PER_USER", 1)
    async with guarded(Authenticator()) as gateway, staying() as stack:
        assert [(await come(stack, gateway, "websocket")).status for _ in range(2)] == [101, 429]


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

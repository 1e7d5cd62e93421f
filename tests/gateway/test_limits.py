"""What one address and one user may take, and how many clients may come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.auth.authenticator import Identity
from relay.errors import Refused
from relay.limits import gateway_limits
from tests.gateway.admissions import SUBSCRIBERS, WAYS, Authenticator, ask, guarded, nothing_is_left, success
from tests.gateway.limited import come, counted, every_subscriber, gateway_time, staying
from tests.harness.conditions import wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket


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


async def test_users_of_an_authenticator_that_a_program_brings_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever RELAY_AUTH is: the names are the program's."""
    monkeypatch.setattr("relay.settings.limits.CONNECTIONS_PER_USER", 1)
    async with guarded(Authenticator()) as gateway, staying() as stack:
        assert [(await come(stack, gateway, "websocket")).status for _ in range(2)] == [101, 429]

"""Polling clients from one address that begin more subscriptions than others have."""

from __future__ import annotations

import asyncio

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.event_source import EventStreamClient
from tests.harness.poll_client import PollClient
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.websocket_client import connected

GREEDY = "203.0.113.9"


async def flood(gateway: Gateway, count: int, address: str = GREEDY) -> None:
    """Begin subscriptions, and never come back to them."""
    for _ in range(count):
        await PollClient(gateway.port, "flood", address).poll(wait=0)


async def poll_each(clients: list[PollClient]) -> None:
    """Let each client poll once, as it does regularly."""
    await asyncio.gather(*(client.poll(wait=0) for client in clients))


async def test_a_flood_of_one_address_costs_regular_clients_nothing(embedded: EmbeddedFactory) -> None:
    """Not those of other addresses, and not those of its own that were there before."""
    (gateway,) = await embedded(1, max_connections=32, trusted_proxies=("127.0.0.1",))
    regular = [PollClient(gateway.port, "a", f"192.0.2.{number}") for number in range(6)]
    beside_it = PollClient(gateway.port, "a", GREEDY)
    await poll_each([*regular, beside_it])
    for _ in range(5):
        await flood(gateway, 12)
        await poll_each([*regular, beside_it])
    late = [PollClient(gateway.port, "a", f"198.51.100.{number}") for number in range(4)]
    await poll_each(late)
    await flood(gateway, 12)
    await poll_each([*regular, beside_it, *late])
    assert [client.missed for client in [*regular, beside_it, *late]] == [0] * 11
    assert gateway.counters.polls_open == 16
    assert gateway.counters.polls_evicted == 7 + 4 + 72 - 16
    assert gateway.counters.connections_closed == {1006: gateway.counters.polls_evicted}


async def test_an_address_alone_may_have_all_places_for_clients_that_do_not_poll(embedded: EmbeddedFactory) -> None:
    """Behind one router, or a proxy that isn't trusted, there may be a whole company."""
    (gateway,) = await embedded(1, max_connections=32)
    clients = [PollClient(gateway.port, "a") for _ in range(16)]
    for _ in range(2):
        await poll_each(clients)
    assert [client.missed for client in clients] == [0] * 16
    assert gateway.counters.polls_evicted == 0


async def test_addresses_of_one_ipv6_network_have_one_share(embedded: EmbeddedFactory) -> None:
    """Everybody with IPv6 has 2 ** 64 addresses."""
    (gateway,) = await embedded(1, max_connections=16, trusted_proxies=("127.0.0.1",))
    regular = [PollClient(gateway.port, "a", f"2001:db8:0:{number}::1") for number in range(1, 3)]
    await poll_each(regular)
    for number in range(20):
        await flood(gateway, 1, f"2001:db8::{number:x}")
    await poll_each(regular)
    assert [client.missed for client in regular] == [0, 0]


async def test_when_the_gateway_is_full_who_has_more_than_its_share_gives_way(embedded: EmbeddedFactory) -> None:
    """Half of all places would else stay with one address that needs a single connection to take them."""
    (gateway,) = await embedded(1, max_connections=32, trusted_proxies=("127.0.0.1",))
    regular = [PollClient(gateway.port, "a", f"192.0.2.{number}") for number in range(4)]
    await poll_each(regular)
    await flood(gateway, 20)
    url = f"{gateway.url}/ws/b"
    async with connected(*[url] * 16):
        assert gateway.counters.polls_open == 16
        async with connected(*[url] * 9), EventStreamClient(gateway.port, "/sse/b"):
            assert gateway.counters.polls_open == 6
            # A sixteenth of all places, two, is left to it.
            async with RawWebSocket(gateway.port) as refused:
                assert (await refused.upgrade("/ws/b")).status == 503
            assert gateway.counters.connections_open == 32
            await poll_each(regular)
    assert [client.missed for client in regular] == [0] * 4

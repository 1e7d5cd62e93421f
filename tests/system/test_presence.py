"""Who is on a channel, over all gateways and a real Redis; and what is known when one of these is gone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any

import msgspec
import pytest

from relay import Gateway
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.presence import RedisPresenceStore
from relay.member import Member
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions, Namespaces
from relay.presence import presences
from relay.presence.presences import Presences
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

NAMESPACES = {"room": {"presence": True, "join_leave": True}}
ROOM = "room:1"

MEMBERS = 10_000


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let users linger for a moment."""
    monkeypatch.setattr(presences.Presences.__init__, "__kwdefaults__", {"linger_seconds": 0.3, "batch_seconds": 0.01})


async def users(gateway: Gateway) -> list[str | None]:
    """Return the users of all clients of the room, as a gateway sees them."""
    members = await parts_of(gateway).context.node.presence.members(ROOM)
    return sorted((member.user for member in members), key=str)


async def becomes(gateway: Gateway, *expected: str | None) -> None:
    """Wait until these are there."""

    async def right() -> bool:
        return await users(gateway) == list(expected)

    await wait_until(right)


async def ready(embedded: EmbeddedFactory, redis: RedisServer, prefix: str, **settings: Any) -> list[Gateway]:
    """Start two gateways."""
    pair = await embedded(2, broker_url=redis.url, broker_prefix=prefix, namespaces=NAMESPACES, **settings)
    await wait_until(lambda: all(gateway.ready for gateway in pair))
    return pair


@pytest.mark.usefixtures("_hasty")
async def test_gateways_see_each_others_clients_and_tell_who_comes_and_goes(
    redis_server: RedisServer, prefix: str, embedded: EmbeddedFactory
) -> None:
    here, there = await ready(embedded, redis_server, prefix)
    async with EventStreamClient(here.port, f"/sse/{ROOM}?user=eve&join_leave=1") as watcher:
        assert await watcher.told(2) == [("watching", None), ("join", "eve")]
        async with connected(f"{there.url}/ws/{ROOM}?user=ann") as (ann,):
            assert (await watcher.told(3))[2] == ("join", "ann")
            await becomes(here, "ann", "eve")
            await becomes(there, "ann", "eve")
            # She moves to the other gateway, as in a rolling restart.
            await ann.close()
            async with connected(f"{here.url}/ws/{ROOM}?user=ann"):
                await wait_until(lambda: not len(parts_of(there).context.node.presences))
                await becomes(there, "ann", "eve")
        assert (await watcher.told(4))[3] == ("leave", "ann")


@pytest.mark.usefixtures("_hasty")
async def test_a_drained_gateway_leaves_no_client_behind(
    redis_server: RedisServer, prefix: str, embedded: EmbeddedFactory
) -> None:
    here, there = await ready(embedded, redis_server, prefix)
    async with EventStreamClient(here.port, f"/sse/{ROOM}?user=eve&join_leave=1") as watcher:
        await watcher.told(2)
        async with connected(f"{there.url}/ws/{ROOM}?user=ann", f"{there.url}/ws/{ROOM}"):
            await becomes(here, None, "ann", "eve")
            await there.drain()
            assert await users(here) == ["eve"]
        assert (await watcher.told(5))[-1] == ("leave", None)


async def test_clients_of_a_killed_gateway_are_gone_in_time(own_redis: RedisServer, gateways: GatewayFactory) -> None:
    settings = {"broker_url": own_redis.url, "namespaces": msgspec.json.encode(NAMESPACES).decode(), "presence_ttl": 5}
    here, there = await gateways(2, **settings)
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(EventStreamClient(here.port, f"/sse/{ROOM}?user=eve&join_leave=1"))
        await watcher.told(2)
        await stack.enter_async_context(connected(f"{there.url}/ws/{ROOM}?user=ann"))
        await stack.enter_async_context(connected(f"{there.url}/ws/{ROOM}?user=eve"))
        assert (await watcher.told(3))[2] == ("join", "ann")
        there.kill()
        assert (await watcher.told(4))[3] == ("leave", "ann")


@pytest.mark.usefixtures("_hasty")
async def test_what_redis_has_lost_comes_back(own_redis: RedisServer, prefix: str, embedded: EmbeddedFactory) -> None:
    here, there = await ready(embedded, own_redis, prefix, presence_ttl=5)
    async with (
        EventStreamClient(here.port, f"/sse/{ROOM}?user=eve&join_leave=1") as watcher,
        connected(f"{there.url}/ws/{ROOM}?user=ann"),
    ):
        await watcher.told(3)
        await becomes(here, "ann", "eve")
        own_redis.admin.flushall()
        await becomes(here, "ann", "eve")
        # Somebody may have gone whose going was lost as well.
        assert (await watcher.told(4))[3] == ("watching", None)
        assert here.counters.presence_repairs == there.counters.presence_repairs == 1
        async with connected(f"{there.url}/ws/{ROOM}?user=bob"):
            assert (await watcher.told(5))[4] == ("join", "bob")


@pytest.mark.usefixtures("_hasty")
async def test_a_restart_of_redis_loses_nobody(own_redis: RedisServer, prefix: str, embedded: EmbeddedFactory) -> None:
    here, there = await ready(embedded, own_redis, prefix, presence_ttl=5)
    async with (
        EventStreamClient(here.port, f"/sse/{ROOM}?user=eve&join_leave=1") as watcher,
        connected(f"{there.url}/ws/{ROOM}?user=ann") as (ann,),
    ):
        await watcher.told(3)
        await becomes(here, "ann", "eve")
        own_redis.kill()
        await ann.close()
        await wait_until(lambda: not there.ready)
        own_redis.start()
        await becomes(here, "eve")
        await wait_until(lambda: here.ready and there.ready)
        assert "watching" in [kind for kind, _ in (await watcher.told(4))[3:]]


async def test_ten_thousand_clients_of_a_channel_cost_redis_a_few_commands(own_redis: RedisServer) -> None:
    namespaces = Namespaces(named={"room": ChannelOptions(presence=True, join_leave=True)})
    store = RedisPresenceStore(parse_address(own_redis.url), "relay:", 5.0, 0.6, namespaces, Counters())
    found = Presences(namespaces, store, Counters(), 0.6, print)

    def commands() -> int:
        stats: dict[str, dict[str, int]] = own_redis.admin.info("commandstats")
        return sum(said["calls"] for name, said in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))

    running = asyncio.create_task(found.run())
    try:
        for number in range(MEMBERS):
            found.joined(ROOM, Member(f"{number:032x}", f"u{number}"))
        await wait_until(lambda: not found.waiting)
        assert (await store.stats(ROOM)).clients == MEMBERS
        assert commands() < 2 * MEMBERS / 100
        before, calls = commands(), found._counters.presence_calls
        refreshed = calls["refreshed"]
        await wait_until(lambda: calls["refreshed"] > refreshed + 3)
        assert commands() - before <= calls["refreshed"] - refreshed + 1, "one may be on its way"
        assert (await store.stats(ROOM)).clients == MEMBERS
        for number in range(MEMBERS):
            found.left(ROOM, f"{number:032x}")
        await found.drain(60.0)
        assert (await store.stats(ROOM)).clients == 0
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await store.close()

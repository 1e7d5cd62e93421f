"""Brokers whose channels have presence, on one Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio

from relay.brokers import BrokerOptions
from relay.brokers.redis import presence
from relay.channel import EVENTS
from relay.member import Member
from relay.namespaces import ChannelOptions, Namespaces
from tests.brokers.presence_events import member
from tests.brokers.recording import Station
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer

NAMESPACES = Namespaces(named={"p": ChannelOptions(presence=True), "e": ChannelOptions(presence=True, join_leave=True)})

ANN, BOB, EVE = member(1, "ann"), member(2, "bob"), member(3)

GATEWAYS, USERS = "relay:{e:c}:presence", "relay:{e:c}:present"

Connect = Callable[..., Awaitable[Station]]


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Start gateways that hear the events of `e:c`: `await connect(server)`; ready when it returns."""
    started: list[Station] = []

    async def start(server: RedisServer | str, patience: float = 30.0, ttl: float = 3600.0) -> Station:
        url = server if isinstance(server, str) else server.url
        options = BrokerOptions(url, timeout=patience, probe_interval=0.1, namespaces=NAMESPACES, presence_ttl=ttl)
        station = Station(options)
        started.append(station)
        await station.broker.start()
        await station.broker.subscribe(f"{EVENTS}e:c")
        await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
        return station

    yield start
    for station in started:
        await station.broker.stop()


async def present(station: Station, channel: str = "e:c") -> list[Member]:
    """Return who is on a channel, by ids."""
    return sorted(await station.broker.presence.members(channel), key=lambda some: some.client)


def kill(redis: RedisServer, station: Station) -> None:
    """Let so much time pass for a gateway that it is dead, and for no other."""
    (gateway,) = gateways_of(redis) & {id_of(station)}
    redis.admin.zadd(GATEWAYS, {gateway: 1})


def gateways_of(redis: RedisServer) -> set[str]:
    """Return the ids of gateways on `e:c`."""
    names: Any = redis.admin.zrange(GATEWAYS, 0, -1)
    return {name.decode() for name in names}


def id_of(station: Station) -> str:
    store = station.broker.presence
    assert isinstance(store, presence.RedisPresenceStore)
    return store.gateway

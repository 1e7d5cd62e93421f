"""Brokers whose channels have positions, on one Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from relay.brokers import BrokerOptions
from relay.brokers.history import HistoryPage
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from tests.brokers.recording import Outcomes, Station
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.tcp_proxy import TcpProxy

NAMESPACES = Namespaces(
    named={
        "h": ChannelOptions(history_size=100),
        "big": ChannelOptions(history_size=100_000, history_bytes=10**9),
        "cut": ChannelOptions(history_size=1000, history_bytes=2000),
        "p": ChannelOptions(positions=True),
    }
)

POSITION, HISTORY = "relay:{h:c}:position", "relay:{h:c}:history"

Connect = Callable[..., Awaitable[Station]]


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Start stations that are subscribed to `h:c`: `await connect(server)`; ready when it returns."""
    started: list[Station] = []

    async def start(server: RedisServer | TcpProxy | str, publish_timeout: float = 30.0) -> Station:
        url = server if isinstance(server, str) else f"redis://127.0.0.1:{server.port}"
        station = Station(
            BrokerOptions(url, timeout=1.0, probe_interval=0.1, publish_timeout=publish_timeout, namespaces=NAMESPACES)
        )
        started.append(station)
        await station.broker.start()
        await station.broker.subscribe("h:c")
        await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
        return station

    yield start
    for station in started:
        await station.broker.stop()


async def publish(station: Station, *payloads: bytes, channel: str = "h:c", key: str | None = None) -> list[Position]:
    """Publish messages, and return their positions."""
    outcomes = Outcomes()
    for payload in payloads:
        station.say(channel, payload, receipt=outcomes, key=key)
    await wait_until(lambda: len(outcomes.heard) == len(payloads), what=lambda: (outcomes.errors, len(outcomes.heard)))
    return [position for position in outcomes.positions if position is not None]


def payloads(page: HistoryPage) -> list[bytes]:
    return [message.payload for message in page.messages]


def check_never_twice(*stations: Station) -> None:
    """Check that no position was given to two messages."""
    known: dict[Position, bytes] = {}
    for station in stations:
        for message, position in zip(station.sink.messages, station.sink.positions("h:c"), strict=True):
            assert position is not None
            assert known.setdefault(position, message.payload) == message.payload

"""What clients of several channels can ask for, with gateways that share a Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay import Gateway, protocols
from relay.brokers.history import HistoryError
from relay.brokers.presence import PresenceError
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import Refused, SubscribeError
from relay.message import Message
from relay.position import Position
from relay.protocols.multiplexed import ANY_EPOCH, HistoryQuery, SubscribeOptions
from relay.replay import Replay
from tests.clients.recorder import Outcomes
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.multiplexed_client import MultiplexedClient, multiplexed
from tests.harness.redis_server import RedisServer

NAMESPACES = {"kept": {"history_size": 100, "presence": True, "join_leave": True}}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")


@asynccontextmanager
async def come(gateway: Gateway) -> AsyncIterator[tuple[MultiplexedClient, MultiplexedSession]]:
    """Connect a client to a gateway; yield it and its session."""
    before = set(parts_of(gateway).context.registry)
    async with multiplexed(f"{gateway.url}/multiplexed") as (client,):
        (connection,) = set(parts_of(gateway).context.registry) - before
        assert isinstance(connection.session, MultiplexedSession)
        yield client, connection.session


async def test_a_client_goes_on_at_another_gateway(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str
) -> None:
    here, there = await embedded(2, broker_url=redis_server.url, broker_prefix=prefix, namespaces=NAMESPACES)
    await wait_until(lambda: here.ready and there.ready)
    outcomes = Outcomes()
    for number in range(5):
        await here.publish("kept:1", str(number))
    async with come(there) as (client, session):
        session.subscribe("kept:1", outcomes.of("x"), SubscribeOptions(Position(ANY_EPOCH, 3)))
        for number in range(5, 10):
            await here.publish("kept:1", str(number))
        await wait_until(lambda: outcomes.told)
        (replay,) = outcomes.results
        assert isinstance(replay, Replay)
        assert replay.recovered
        before = [int(message.payload) for message in replay.messages]
        live = await client.receive(7 - len(before))
        assert before + [data for _, data in live] == list(range(3, 10))


def content_of(message: Message) -> bytes:
    """Return what a message says."""
    return message.payload


async def test_what_a_client_asks_for(embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str) -> None:
    here, there = await embedded(2, broker_url=redis_server.url, broker_prefix=prefix, namespaces=NAMESPACES)
    await wait_until(lambda: here.ready and there.ready)
    for number in range(5):
        await here.publish("kept:1", str(number))
    async with come(here) as (client, _), come(there) as (_, session):
        await client.subscribe("kept:1")
        outcomes = Outcomes()
        session.read_history("kept:1", HistoryQuery(2, newest_first=True), content_of, outcomes.of("history"))
        await wait_until(lambda: outcomes.told)
        top, messages = outcomes.results.pop()
        assert (top.offset, messages) == (5, [b"4", b"3"])

        async def one_is_there() -> bool:
            session.count_presence("kept:1", outcomes.of("count"))
            await wait_until(lambda: outcomes.results)
            return bool(outcomes.results.pop() == (1, 1))

        await wait_until(one_is_there)
        session.see_presence("kept:1", repr, outcomes.of("members"))
        await wait_until(lambda: outcomes.results)
        assert len(outcomes.results.pop()) == 1


async def test_a_client_stays_and_is_told_while_the_bus_is_away(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, broker_timeout=0.5, namespaces=NAMESPACES)
    await wait_until(lambda: gateway.ready)
    outcomes = Outcomes()
    async with come(gateway) as (client, session):
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        session.read_history("kept:1", HistoryQuery(1), content_of, outcomes.of("history"))
        session.see_presence("kept:1", repr, outcomes.of("members"))
        session.count_presence("kept:1", outcomes.of("count"))
        session.subscribe("kept:1", outcomes.of("kept:1"), SubscribeOptions(Position(ANY_EPOCH, 0)))
        session.subscribe("lobby", outcomes.of("lobby"))
        await wait_until(lambda: len(outcomes.told) == 5)
        told = {name: result for (name, _), result in zip(outcomes.told, outcomes.results, strict=True)}
        assert isinstance(told["history"], HistoryError)
        assert isinstance(told["members"], PresenceError)
        assert isinstance(told["count"], PresenceError)
        assert isinstance(told["kept:1"], SubscribeError | Refused)
        assert isinstance(told["lobby"], SubscribeError)
        assert list(session.channels) == []
        own_redis.start()
        await wait_until(lambda: gateway.ready)
        await client.subscribe("kept:1", "lobby")
        assert client.is_open

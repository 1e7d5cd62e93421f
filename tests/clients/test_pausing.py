"""Protocols that let nothing more be read of their client for a while."""

from __future__ import annotations

import asyncio
import json

import pytest

from relay import Gateway, protocols
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.clients.multiplexed_session import MultiplexedSession
from tests.clients.session_world import World
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket


async def one_tick() -> None:
    """Let what is due happen."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_client_is_paused_at_once_and_goes_on_in_the_next_tick() -> None:
    """Not within the call: it may have kept messages, and its protocol is about to say something."""
    client, session = World().join()
    session.pause()
    assert client.acts == ["pause"]
    session.resume()
    assert client.acts == ["pause"]
    await one_tick()
    assert client.acts == ["pause", "resume"]


async def test_a_protocol_is_told_how_often_its_client_is_pinged() -> None:
    world = World()
    assert world.join()[1].ping_seconds == world.context.ping_seconds


async def test_the_last_word_counts() -> None:
    client, session = World().join()
    session.pause()
    session.resume()
    session.pause()
    await one_tick()
    assert "resume" not in client.acts
    session.resume()
    await one_tick()
    assert client.acts.count("resume") == 1


async def test_while_the_bus_takes_no_more_a_client_goes_on_with_the_others() -> None:
    world = World()
    client, session = world.join()
    session.pause()
    world.node.congested = True
    session.resume()
    await one_tick()
    assert "resume" not in client.acts
    assert world.node.paused_publishers == 1
    world.node.writable()
    await wait_until(lambda: client.acts[-1] == "resume")
    assert world.node.paused_publishers == 0


async def test_a_client_that_has_left_is_neither_paused_nor_resumed() -> None:
    world = World()
    client, session = world.join()
    session.pause()
    session.resume()
    client.leave()
    await one_tick()
    session.pause()
    session.resume()
    await one_tick()
    assert client.acts == ["pause"]
    assert world.nothing_is_left()


def connection_of(gateway: Gateway) -> tuple[MultiplexedWebSocket, MultiplexedSession]:
    """Return a gateway's only client, and its session."""
    (connection,) = parts_of(gateway).context.registry
    assert isinstance(connection, MultiplexedWebSocket)
    assert isinstance(connection.session, MultiplexedSession)
    return connection, connection.session


@pytest.mark.usefixtures("short_close_timeout")
async def test_nothing_is_read_of_a_websocket_until_it_goes_on(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/multiplexed")).status == 101
        connection, session = connection_of(gateway)
        session.pause()
        for number, channel in enumerate("ab"):
            await client.send_frame(TEXT, json.dumps({"id": number + 1, "subscribe": channel}).encode())
        assert await stays_true(lambda: not session.channels, 0.05)
        assert not connection.reading
        session.resume()
        assert [json.loads((await client.frame()).payload)["id"] for _ in range(2)] == [1, 2]
        assert set(session.channels) == {"a", "b"}
    await wait_until(lambda: gateway.counters.connections_open == 0)

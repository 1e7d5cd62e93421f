"""How streams of several channels end: drains, sockets that break, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from relay import Gateway
from relay.errors import Disconnect
from tests.centrifuge.transports.stream_client import StreamClient
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.inside import parts_of

Connect = Callable[..., StreamClient]

all_ways = pytest.mark.parametrize(
    "connect",
    [StreamClient.http_stream, StreamClient.sse, StreamClient.uni_http_stream, StreamClient.uni_sse],
    ids=["http_stream", "sse", "uni_http_stream", "uni_sse"],
)


async def is_gone(gateway: Gateway) -> None:
    """Wait until a gateway has no client left, and nothing of one."""
    parts = parts_of(gateway)
    await wait_until(lambda: not gateway.counters.connections_open)
    assert len(parts.context.emulated_streams) == 0
    assert not gateway.counters.transports_open
    assert parts.context.node.hub.channels == []
    assert len(parts.context.throttled) == 0
    assert parts.context.node.paused_publishers == 0


@all_ways
@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_drain_says_that_the_gateway_leaves(
    gateways: GatewayFactory, connect: Connect, event_loop: str
) -> None:
    (gateway,) = await gateways(1, event_loop=event_loop)
    async with connect(gateway.port) as client:
        await client.until(lambda one: "connect" in one)
        await gateway.terminate()
        last = (await client.to_the_end())[-1]
        assert last.get("push", last) == {"disconnect": {"code": 3001, "reason": "shutdown"}}


@all_ways
@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_clients_that_leave_leave_nothing(gateways: GatewayFactory, connect: Connect, event_loop: str) -> None:
    (gateway,) = await gateways(1, event_loop=event_loop)
    before = gateway.descriptors
    for number in range(20):
        async with connect(gateway.port) as client:
            if number % 2:
                await client.until(lambda one: "connect" in one)
            if number % 3 == 0:
                client.abort()
            elif number % 3 == 1:
                client.half_close()
                await client.to_the_end()
    await wait_until(lambda: gateway.descriptors <= before)


@all_ways
async def test_a_killed_socket_ends_its_session(embedded: EmbeddedFactory, connect: Connect) -> None:
    (gateway,) = await embedded(1)
    async with connect(gateway.port) as client:
        await client.until(lambda one: "connect" in one)
        client.abort()
        await is_gone(gateway)
    assert gateway.counters.connections_closed == {1006: 1}


@all_ways
async def test_what_a_client_says_over_its_stream_is_ignored_up_to_a_bound(
    embedded: EmbeddedFactory, connect: Connect
) -> None:
    (gateway,) = await embedded(1)
    async with connect(gateway.port) as client:
        await client.until(lambda one: "connect" in one)
        await client.send(b"x" * 4000)
        await client.send(b"x" * 100)
        await client.to_the_end()
    assert gateway.counters.disconnects == {"UNEXPECTED_DATA": 1}
    await is_gone(gateway)


async def test_commands_in_the_waiting_line_of_a_client_that_leaves_are_forgotten(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_messages_per_second=1)
    async with StreamClient.http_stream(gateway.port) as client:
        session = (await client.reply(1))["connect"]["session"]
        streams = parts_of(gateway).context.emulated_streams
        for number in range(20):
            assert streams.take_in(session, json.dumps({"id": number + 2, "presence": {"channel": "a"}}).encode())
        assert len(parts_of(gateway).context.throttled) == 1
        client.abort()
        await is_gone(gateway)
        assert not streams.take_in(session, b"{}")


@all_ways
async def test_they_leave_nothing_behind(embedded: EmbeddedFactory, connect: Connect) -> None:
    (gateway,) = await embedded(1, max_messages_per_second=5)
    async with leaving_nothing(gateway), AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(gateway.port)) for _ in range(4)]
        for client in clients:
            connected = await client.until(lambda one: "connect" in one)
            session = connected["connect"]["session"]
            for number in range(20):
                said = json.dumps({"id": number + 2, "subscribe": {"channel": f"c{number}"}}).encode()
                parts_of(gateway).context.emulated_streams.take_in(session, said)
        clients[0].abort()
        clients[1].half_close()
        inside = list(parts_of(gateway).context.registry)
        inside[2].close(Disconnect.SLOW_CONSUMER)
        inside[3].abort()
        del inside
    await is_gone(gateway)

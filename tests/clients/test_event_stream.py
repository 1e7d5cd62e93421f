"""A client that reads server-sent events, seen from its socket."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from relay import Gateway
from relay.brokers.memory import MemoryBroker
from relay.clients.event_stream import MAX_IGNORED_BYTES, EventStream
from relay.protocols.sse import RETRY_MILLISECONDS
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.websocket_client import connected


def streams(gateway: Gateway) -> list[EventStream]:
    """Return the open streams of a gateway."""
    return [member for member in parts_of(gateway).context.registry if isinstance(member, EventStream)]


async def test_a_stream_carries_texts_and_bytes_to_the_end(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, welcome="grüezi\r\n")
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        async with EventStreamClient(gateway.port, "/sse/a?user=ann&echo=9") as client:
            assert client.head.status == 200
            assert client.head.headers["content-type"] == "text/event-stream"
            assert client.head.headers["cache-control"] == "no-store"
            assert client.head.headers["x-accel-buffering"] == "no"
            assert client.head.headers["connection"] == "close"
            assert "content-length" not in client.head.headers
            assert "access-control-allow-origin" not in client.head.headers
            sent: list[str | bytes] = ["one\ntwo", b"\x00\xff", "", "\r", " "]
            for message in sent:
                await sender.send(message)
            assert await client.receive(6) == ["grüezi\r\n", *sent]
            assert RETRY_MILLISECONDS[0] <= await client.retry() <= RETRY_MILLISECONDS[1]
            counters = gateway.counters
            assert (counters.connections_open, counters.event_streams_open, counters.connections_accepted) == (2, 1, 2)
            assert counters.deliveries == 5
        await wait_until(lambda: gateway.counters.connections_open == 1)
        assert gateway.counters.event_streams_open == 0
        assert gateway.counters.connections_closed == {1000: 1}


@pytest.mark.parametrize("target", ["/sse", "/sse/", "/sse?user=bob", "/sse/lobby"])
async def test_the_root_is_the_default_channel(embedded: EmbeddedFactory, target: str) -> None:
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/") as (sender,), EventStreamClient(gateway.port, target) as client:
        await sender.send("x")
        assert await client.receive(1) == ["x"]


async def test_clients_come_back_at_different_times(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    pauses = set()
    for _ in range(10):
        async with EventStreamClient(gateway.port, "/sse/a") as client:
            pauses.add(await client.retry())
    assert len(pauses) > 5


async def test_a_client_of_an_old_proxy_is_served(embedded: EmbeddedFactory) -> None:
    """Many proxies speak HTTP/1.0 to their servers."""
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as raw:
        await raw.send(b"GET /sse/a HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert (await raw.response()).status == 200


async def test_a_stream_begins_after_the_bus_has_acknowledged(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[asyncio.Future[None]] = []

    def wait(self: MemoryBroker, channel: str) -> asyncio.Future[None]:
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    (gateway,) = await embedded(1)
    monkeypatch.setattr(MemoryBroker, "subscribe", wait)
    client = EventStreamClient(gateway.port, "/sse/a")
    opening = asyncio.create_task(client.__aenter__())
    await wait_until(lambda: waiting)
    assert await stays_true(lambda: not opening.done(), 0.05)
    waiting[0].set_result(None)
    assert (await opening).head.status == 200
    client.abort()


async def test_heartbeats_come_at_the_ping_interval(gateways: GatewayFactory) -> None:
    for gateway in await gateways(2, ping_interval=0.2, ping_timeout=0.1):
        async with EventStreamClient(gateway.port, "/sse/a") as client:
            await client.heartbeats(3)
            assert client.parser.comments == ["", "", ""]
            assert client.events == []


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_what_a_client_says_is_ignored_up_to_a_bound(gateways: GatewayFactory, event_loop: str) -> None:
    (gateway,) = await gateways(1, event_loop=event_loop)
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        async with EventStreamClient(gateway.port, "/sse/a") as client:
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"\x00\xff" * 1000)
            await sender.send("still here")
            assert await client.receive(1) == ["still here"]
            await client.send(b"x" * MAX_IGNORED_BYTES)
            await client.to_the_end()
        hasty = EventStreamClient(gateway.port, "/sse/a", "X: y\r\n\r\n" + "z" * MAX_IGNORED_BYTES)
        async with hasty:
            await hasty.to_the_end()


async def test_a_client_that_says_too_much_is_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with EventStreamClient(gateway.port, "/sse/a") as client:
        await client.send(b"x" * (MAX_IGNORED_BYTES + 1))
        await client.to_the_end()
    assert gateway.counters.disconnects == {"UNEXPECTED_DATA": 1}
    assert gateway.counters.connections_closed == {1006: 1}


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_clients_that_leave_leave_nothing(gateways: GatewayFactory, event_loop: str) -> None:
    (gateway,) = await gateways(1, event_loop=event_loop)
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        before = gateway.descriptors
        for number in range(30):
            async with EventStreamClient(gateway.port, "/sse/a") as client:
                if number % 3 == 0:
                    client.abort()
                elif number % 3 == 1:
                    client.half_close()
                    await client.to_the_end()
                await sender.send("x")
        await wait_until(lambda: gateway.descriptors <= before)


async def test_how_a_client_left_is_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with EventStreamClient(gateway.port, "/sse/a") as client:
        client.abort()
        await wait_until(lambda: gateway.counters.connections_closed == {1006: 1})
    async with EventStreamClient(gateway.port, "/sse/a") as client:
        client.half_close()
        await wait_until(lambda: gateway.counters.connections_closed == {1006: 1, 1000: 1})
    assert parts_of(gateway).context.node.hub.channels == []


async def test_a_client_that_vanished_is_noticed_by_the_kernel(embedded: EmbeddedFactory) -> None:
    """Nothing on this machine can vanish without a word, so this looks at what the kernel was told."""
    (gateway,) = await embedded(1, write_timeout=7)
    async with EventStreamClient(gateway.port, "/sse/a"):
        (stream,) = streams(gateway)
        assert stream._transport is not None
        accepted = stream._transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
        stream.connection_lost(OSError(errno.ETIMEDOUT, "timed out"))
        assert gateway.counters.disconnects == {"WRITE_TIMEOUT": 1}
        stream._transport = None


async def test_one_that_a_write_finds_silent_is_counted_so(embedded: EmbeddedFactory) -> None:
    """A write past the transport has taken the error away, which the transport would have told."""
    (gateway,) = await embedded(1)
    async with EventStreamClient(gateway.port, "/sse/a"), EventStreamClient(gateway.port, "/sse/a"):
        silent, failed = streams(gateway)
        silent.write_failed(errno.ETIMEDOUT)
        failed.write_failed(errno.ECONNRESET)
        for stream in (silent, failed):
            stream.connection_lost(BrokenPipeError(errno.EPIPE, "broken pipe"))
        assert gateway.counters.disconnects == {"WRITE_TIMEOUT": 1}


@pytest.mark.usefixtures("each_fan_out")
async def test_events_reach_streams_and_messages_websockets_each_way(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    url = f"{gateway.url}/ws/a"
    async with (
        connected(url, url) as (sender, listener),
        EventStreamClient(gateway.port, "/sse/a") as one,
        EventStreamClient(gateway.port, "/sse/a") as two,
    ):
        for number in range(20):
            await sender.send(f"{number}" * 5_000)
        expected = [f"{number}" * 5_000 for number in range(20)]
        assert await one.receive(20) == await two.receive(20) == await listener.receive(20) == expected

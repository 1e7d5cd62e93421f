"""Clients that hear over a response and speak by requests: `/connection/http_stream` and `/connection/sse`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from relay import Gateway
from relay.auth.authenticator import ANONYMOUS, Identity
from relay.clients.emulated_stream import EmulatedStream
from relay.protocols.request import ConnectRequest
from relay.settings import Settings
from tests.centrifuge.transports.stream_client import CONNECT, StreamClient
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.inside import parts_of
from tests.harness.server_api import publish

Connect = Callable[..., StreamClient]

both = pytest.mark.parametrize("connect", [StreamClient.http_stream, StreamClient.sse], ids=["http_stream", "sse"])


@both
@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_client_hears_and_speaks(gateways: GatewayFactory, connect: Connect, event_loop: str) -> None:
    (gateway,) = await gateways(1, event_loop=event_loop)
    async with connect(gateway.port, CONNECT, {"id": 2, "subscribe": {"channel": "a"}}) as client:
        assert client.head.status == 200
        connected = (await client.reply(1))["connect"]
        assert connected["pong"] is True
        assert len(connected["node"]) == 16
        assert connected["client"] not in connected["session"]
        assert await client.reply(2) == {"id": 2, "subscribe": {}}
        assert (await client.ask(subscribe={"channel": "b"}))["subscribe"] == {}
        assert (await client.ask(publish={"channel": "b", "data": {"x": "é\n"}}))["publish"] == {}
        assert await client.publications(1) == [{"x": "é\n"}]
        assert (await publish(gateway.port, "/publish/a", b"[1]")).status == 200
        assert await client.publications(2) == [{"x": "é\n"}, [1]]
        assert (await client.ask(unsubscribe={"channel": "a"}))["unsubscribe"] == {}
        assert (await client.ask(presence={"channel": "a"}))["error"]["code"] == 108


@both
async def test_how_a_stream_begins(embedded: EmbeddedFactory, connect: Connect) -> None:
    (gateway,) = await embedded(1, allowed_origins=("https://a.example",))
    async with connect(gateway.port, headers=["Origin: https://a.example"]) as client:
        await client.reply(1)
        headers = client.head.headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert headers["connection"] == "close"
        assert "content-length" not in headers
        assert headers["access-control-allow-origin"] == "https://a.example"
        if connect == StreamClient.sse:
            assert headers["content-type"] == "text/event-stream"
            assert client.began.startswith(b"\r\ndata: {")
        else:
            assert headers["content-type"] == "application/x-ndjson"
            assert client.began.startswith(b'{"id":1,')
        assert gateway.counters.connections_open == 1
        assert gateway.counters.event_streams_open == 0
    await wait_until(lambda: gateway.counters.connections_open == 0)
    assert len(parts_of(gateway).context.emulated_streams) == 0
    assert sum(gateway.counters.transports_open.values()) == 0


async def test_connections_are_counted_by_their_transport(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with (
        StreamClient.http_stream(gateway.port),
        StreamClient.sse(gateway.port),
        StreamClient.sse(gateway.port),
        StreamClient.uni_sse(gateway.port),
        StreamClient.uni_http_stream(gateway.port),
    ):
        assert +gateway.counters.transports_open == {"http_stream": 1, "sse": 2, "uni_sse": 1, "uni_http_stream": 1}


@both
async def test_pings_want_pongs(gateways: GatewayFactory, connect: Connect) -> None:
    for gateway in await gateways(2, ping_interval=0.4, ping_timeout=0.3):
        async with connect(gateway.port) as client:
            for number in range(1, 4):
                await client.pinged(number)
                assert (await client.say({})).status == 204
            await client.pinged(4)
            (*_, last) = await client.to_the_end()
            assert last == {"push": {"disconnect": {"code": 3012, "reason": "no pong"}}}


async def test_a_client_that_is_still_being_let_in_owes_no_pong() -> None:
    """It is not pinged before it knows of pings, so it has nothing to answer."""
    open_gate = asyncio.Event()

    class Late:
        """Lets in whoever comes when the gate is open."""

        async def identify(self, request: ConnectRequest) -> Identity:
            """See `relay.auth.authenticator.Authenticator`."""
            await open_gate.wait()
            return ANONYMOUS

    async with (
        Gateway(Settings(port=0, drain_seconds=0), authenticator=Late()) as gateway,
        StreamClient.http_stream(gateway.port) as client,
    ):
        (stream,) = parts_of(gateway).context.registry
        assert isinstance(stream, EmulatedStream)
        stream.ping()
        stream.check_heard()
        open_gate.set()
        assert "connect" in await client.reply(1)
        assert client.pings == 0
        stream.ping()
        await client.pinged(1)
        stream.check_heard()
        (*_, last) = await client.to_the_end()
        assert last["push"]["disconnect"]["code"] == 3012

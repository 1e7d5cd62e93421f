"""What the gateway answers before a WebSocket is open."""

from __future__ import annotations

import asyncio
import time

import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.gateway_process import GatewayProcess
from tests.harness.http_response import HttpResponse, get, send_request
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.readiness import Listening
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected


async def answer(gateway: Listening, target: str, *headers: str) -> HttpResponse:
    """Return the answer to a WebSocket handshake."""
    async with RawWebSocket(gateway.port) as raw:
        return await raw.upgrade(target, *headers)


@pytest.mark.parametrize(
    "path",
    [
        "a" * 256,
        "%C3%A9" * 128,
        "a%20b",
        "a+b%09",
        "%00",
        "a%0d%0ab",
        "%7f",
        "%C2%85",
        "%E2%80%A8",
        "%ff",
        "%C3",
        "%ED%A0%80",
        "a%",
        "a%2",
        "a%zz",
    ],
)
async def test_a_bad_channel_is_refused_with_a_reason(cluster: list[GatewayProcess], path: str) -> None:
    response = await answer(cluster[0], f"/ws/{path}")
    assert response.status == 400
    assert "channel" in response.text


@pytest.mark.parametrize("path", ["a" * 255, "%C3%A9" * 127, "a/b:c", "a%2Fb", "a+b", "*", "a?echo=1", "%25", "[x]{y}"])
async def test_a_good_channel_is_accepted(cluster: list[GatewayProcess], path: str) -> None:
    response = await answer(cluster[0], f"/ws/{path}")
    assert response.status == 101
    assert response.headers["upgrade"].lower() == "websocket"


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("echo=2", "echo"),
        ("echo=", "echo"),
        ("echo=yes", "echo"),
        ("user=", "user"),
        ("user=" + "u" * 1000, "user"),
        ("user=a%0ab", "user"),
        ("user=%00", "user"),
        ("user=%ff", ""),
    ],
)
async def test_a_bad_parameter_is_refused_with_a_reason(
    cluster: list[GatewayProcess], channel: str, query: str, word: str
) -> None:
    response = await answer(cluster[0], f"/ws/{channel}?{query}")
    assert response.status == 400
    assert word in response.text


@pytest.mark.parametrize("query", ["echo=0", "echo=1&user=ann", "user=J%C3%BCrgen", "unknown=1"])
async def test_a_good_parameter_is_accepted(cluster: list[GatewayProcess], channel: str, query: str) -> None:
    assert (await answer(cluster[0], f"/ws/{channel}?{query}")).status == 101


@pytest.mark.parametrize("path", ["/other", "/wsx", "/ws2/lobby", "/healthz/x"])
async def test_another_path_is_not_found(cluster: list[GatewayProcess], path: str) -> None:
    assert (await answer(cluster[0], path)).status == 404
    assert (await get(cluster[0].port, path)).status == 404


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/lobby"])
async def test_a_plain_get_is_told_to_upgrade(cluster: list[GatewayProcess], path: str) -> None:
    response = await get(cluster[0].port, path)
    assert response.status == 426
    assert (response.headers["upgrade"], response.headers["connection"]) == ("websocket", "close, Upgrade")
    assert "ws://" in response.text


async def test_health_and_readiness_are_told(cluster: list[GatewayProcess], redis_server: RedisServer) -> None:
    bus = f"redis://127.0.0.1:{redis_server.port}/0"
    for gateway in cluster:
        assert (await get(gateway.port, "/healthz")).status == 200
        ready = await get(gateway.port, "/readyz")
        assert (ready.status, ready.json) == (200, {"ready": True, "reasons": [], "notes": [], "bus": bus})
        assert gateway.records("listening")[0]["bus"] == bus


@pytest.mark.parametrize(
    "lines",
    [
        ["Sec-WebSocket-Version: 13"],
        ["Sec-WebSocket-Key: c2hvcnQ=", "Sec-WebSocket-Version: 13"],
        ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 12"],
    ],
)
async def test_a_broken_websocket_handshake_is_refused(cluster: list[GatewayProcess], lines: list[str]) -> None:
    head = ["GET /ws/a HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", *lines, "", ""]
    response = await send_request(cluster[0].port, "\r\n".join(head).encode())
    assert 400 <= response.status < 500


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"HELO\r\n\r\n", b"GET /\r\n\r\n", b"\0" * 20000]
)
async def test_junk_ends_the_connection_and_nothing_else(cluster: list[GatewayProcess], junk: bytes) -> None:
    async with RawWebSocket(cluster[0].port) as raw:
        await raw.send(junk)
        await raw.end()
    assert (await get(cluster[0].port, "/healthz")).status == 200


async def test_a_handshake_may_come_in_pieces_and_bring_its_first_message(
    cluster: list[GatewayProcess], channel: str
) -> None:
    from tests.harness.raw_websocket import TEXT, encode_frame

    head = (
        f"GET /ws/{channel} HTTP/1.1\r\nHost: localhost\r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    async with connected(f"{cluster[1].url}/ws/{channel}") as (receiver,), RawWebSocket(cluster[0].port) as raw:
        for start in range(0, len(head) - 10, 50):
            await raw.send(head[start : min(start + 50, len(head) - 10)])
        await raw.send(head[-10:] + encode_frame(TEXT, b"eager"))
        assert (await raw.response()).status == 101
        assert await receiver.receive(1) == ["eager"]


async def test_a_full_gateway_says_when_to_come_back(
    redis_server: RedisServer, prefix: str, embedded: EmbeddedFactory
) -> None:
    (gateway,) = await embedded(1, broker_url=redis_server.url, broker_prefix=prefix, max_connections=3)
    async with connected(*[f"{gateway.url}/ws/{number}" for number in range(3)]) as (one, *_):
        response = await answer(gateway, "/ws/a")
        assert response.status == 503
        assert int(response.headers["retry-after"]) >= 1
        assert (await get(gateway.port, "/healthz")).status == 200
        await one.close()
        async with connected(f"{gateway.url}/ws/a"):
            pass


async def test_a_rush_never_passes_the_limit(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_connections=10)
    results = await asyncio.gather(
        *(WebSocketClient.connect(f"{gateway.url}/ws/a") for _ in range(40)), return_exceptions=True
    )
    clients = [result for result in results if isinstance(result, WebSocketClient)]
    refusals = [result.response.status_code for result in results if isinstance(result, InvalidStatus)]
    assert len(clients) == 10
    assert refusals == [503] * 30
    await asyncio.gather(*(client.abort() for client in clients))


async def test_headers_are_limited_in_size_and_number(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_header_bytes=2048, max_headers=20)
    assert (await answer(gateway, "/ws/a", "X-Fill: " + "x" * 1500)).status == 101
    assert (await answer(gateway, "/ws/a", "X-Fill: " + "x" * 2048)).status == 431
    assert (await answer(gateway, "/ws/a", *[f"X-{n}: 1" for n in range(14)])).status == 101
    assert (await answer(gateway, "/ws/a", *[f"X-{n}: 1" for n in range(21)])).status == 431
    # A head that never ends is cut off without waiting for its end.
    async with RawWebSocket(gateway.port) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 4096)
        assert (await raw.response()).status == 431


@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_a_handshake_that_takes_too_long_is_ended(gateways: GatewayFactory, event_loop: str) -> None:
    (gateway,) = await gateways(1, handshake_timeout=0.5, event_loop=event_loop)
    async with (
        RawWebSocket(gateway.port) as silent,
        RawWebSocket(gateway.port) as partial,
        RawWebSocket(gateway.port) as dripping,
    ):
        began = time.monotonic()
        await partial.send(b"GET /ws/a HTTP/1.1\r\nHost: ")

        async def drip() -> None:
            await dripping.send(b"GET /ws/a HTTP/1.1\r\nX: ")
            while True:
                await dripping.send(b"x")
                await asyncio.sleep(0.05)  # how slowly it drips

        drops = asyncio.create_task(drip())
        await silent.end()
        assert (await partial.response()).status == 408
        assert (await dripping.response()).status == 408
        assert time.monotonic() - began > 0.4
        drops.cancel()
        await asyncio.gather(drops, return_exceptions=True)
        await partial.end()
    await wait_until(lambda: gateway.descriptors < 20)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"\r\n\r\nGET /healthz HTTP/1.1\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        b"DELETE /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
    ],
)
async def test_no_http_request_keeps_a_connection(embedded: EmbeddedFactory, request_bytes: bytes) -> None:
    """Whoever asks for no WebSocket is answered or not, but doesn't stay: sockets are what a gateway runs out of."""
    (gateway,) = await embedded(1, handshake_timeout=0.5)
    async with RawWebSocket(gateway.port) as raw:
        await raw.send(request_bytes)
        await raw.end(within=4)


async def test_query_and_token_are_never_logged(gateways: GatewayFactory) -> None:
    (gateway,) = await gateways(1, log_level="debug")
    async with connected(f"{gateway.url}/ws/a?user=ann&token=canary-one") as (client,):
        await client.send("canary-two")
        await client.flushed()
    assert (await answer(gateway, "/ws/a?echo=3&token=canary-three", "Authorization: Bearer canary-four")).status == 400
    assert (await get(gateway.port, "/nowhere?token=canary-five")).status == 404
    await gateway.terminate()
    assert "canary" not in gateway.output


async def test_the_subscription_is_acknowledged_before_the_handshake_is(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    """While Redis is silent a new client waits; past the handshake's deadline it is sent away with a 503."""
    (gateway,) = await embedded(1, broker_url=own_redis.url, handshake_timeout=1, broker_timeout=60)
    await wait_until(lambda: gateway.ready)
    own_redis.pause()
    async with RawWebSocket(gateway.port) as raw, asyncio.timeout(PATIENCE_SECONDS):
        response = await raw.upgrade("/ws/a")
        assert response.status == 503
        assert "retry-after" in response.headers
    own_redis.resume()
    async with connected(f"{gateway.url}/ws/a"):
        assert own_redis.subscriptions("relay:a") == 1

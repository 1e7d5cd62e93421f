"""The first request on a socket, made by hand."""

from __future__ import annotations

import asyncio

import pytest

from relay import Gateway
from relay.brokers.memory import MemoryBroker
from relay.errors import SubscribeError
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get, send_request
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket


async def refused(gateway: Gateway, target: str, *headers: str) -> tuple[int, str]:
    """Return status and reason of a refused upgrade."""
    async with RawWebSocket(gateway.port) as client:
        response = await client.upgrade(target, *headers)
        await client.end()
    return response.status, response.text.strip()


async def test_an_accepted_upgrade_is_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        response = await client.upgrade("/ws/lobby?user=bob")
        assert response.status == 101
        assert response.headers["upgrade"].lower() == "websocket"
        assert "sec-websocket-extensions" not in response.headers
        assert (gateway.counters.connections_accepted, gateway.counters.connections_open) == (1, 1)
    await wait_until(lambda: gateway.counters.connections_open == 0)


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/ws/a%20b", 400, "white space"),
        ("/ws/lobby?user=%0a", 400, "user must not contain control characters"),
        ("/ws/lobby?echo=2", 400, "echo must be 0 or 1"),
        ("/ws/lobby?user=%ff", 400, "query is malformed"),
        ("/nowhere", 404, "connect to /ws/CHANNEL"),
    ],
)
async def test_a_refusal_says_why(embedded: EmbeddedFactory, target: str, status: int, reason: str) -> None:
    (gateway,) = await embedded(1)
    got, text = await refused(gateway, target)
    assert got == status
    assert reason in text
    assert gateway.counters.connections_refused == {"bad_request" if status == 400 else "not_found": 1}
    assert gateway.counters.connections_open == 0


async def test_the_library_refuses_broken_handshakes(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    head = "GET /ws/lobby HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    for request, status in [
        (f"{head}Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n", 400),
        (f"{head}Connection: Upgrade\r\nSec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n", 400),
        (f"{head}Connection: close\r\n\r\n", 426),
        (f"{head}broken header\r\n\r\n", 400),
        (head + "Connection: Upgrade\r\nContent-Length: 3\r\n\r\nabc", 400),
    ]:
        assert (await send_request(gateway.port, request.encode())).status == status, request


async def test_requests_that_are_no_websockets_go_to_the_http_side(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    assert (await get(gateway.port, "/healthz")).json == {"status": "alive"}
    assert (await get(gateway.port, "/readyz")).json == {"ready": True, "reasons": [], "notes": [], "bus": "memory://"}
    assert (await get(gateway.port, "/")).status == 426
    assert (await get(gateway.port, "/ws/lobby")).status == 426
    assert "ws://127.0.0.1/ws/CHANNEL" in (await get(gateway.port, "/nope")).text
    assert (await send_request(gateway.port, b"nonsense\r\n\r\n")).status == 400
    post = b"POST /nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
    assert (await send_request(gateway.port, post)).status == 404


async def test_a_head_in_single_bytes_is_understood(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        head = (
            "GET /ws/lobby HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        for byte in head.encode():
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.response()).status == 101


async def test_messages_sent_with_the_head_are_not_lost(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as listener, RawWebSocket(gateway.port) as hasty:
        await listener.upgrade("/ws/lobby")
        request = (
            b"GET /ws/lobby HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await hasty.send(request + b"\x81\x85\x00\x00\x00\x00hasty")
        frame = await listener.frame()
        assert (frame.opcode, frame.payload) == (TEXT, b"hasty")


async def test_large_heads_are_refused_before_they_are_whole(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_header_bytes=1024, max_headers=10)
    assert await refused(gateway, "/ws/lobby", "X: " + "y" * 1024) == (431, "the request head has more than 1024 bytes")
    many = [f"X-{number}: y" for number in range(10)]
    assert await refused(gateway, "/ws/lobby", *many) == (431, "the request has more than 10 headers")
    async with RawWebSocket(gateway.port) as client:
        await client.send(b"GET / HTTP/1.1\r\n" + b"x" * 1100)
        assert (await client.response()).status == 431


async def test_slow_heads_have_a_deadline(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, handshake_timeout=0.2)
    async with RawWebSocket(gateway.port) as silent, RawWebSocket(gateway.port) as slow:
        await slow.send(b"GET / HTTP/1.1\r\n")
        assert (await slow.response()).status == 408
        await silent.end()


async def test_a_refused_client_that_does_not_leave_is_dropped(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/nowhere")).status == 404
        await client.send(b"still talking")
        parts = parts_of(gateway)
        await wait_until(lambda: not parts.front_door.http.connections, 4.0)


async def test_a_full_gateway_asks_to_come_back_later(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_connections=1)
    async with RawWebSocket(gateway.port) as first, RawWebSocket(gateway.port) as second:
        assert (await first.upgrade("/ws/a")).status == 101
        response = await second.upgrade("/ws/a")
        assert (response.status, response.text) == (503, "this gateway is full\n")
        assert gateway.counters.connections_refused == {"full": 1}
        assert 1 <= int(response.headers["retry-after"]) <= 5
        assert (await get(gateway.port, "/healthz")).status == 200
    await wait_until(lambda: gateway.counters.connections_open == 0)
    async with RawWebSocket(gateway.port) as third:
        assert (await third.upgrade("/ws/a")).status == 101


async def test_without_a_bus_nobody_is_let_in(embedded: EmbeddedFactory) -> None:
    """A client that can't hear must not believe that it does."""
    (gateway,) = await embedded(
        1, broker_url=f"redis://127.0.0.1:{free_port()}", handshake_timeout=0.3, publish_timeout=0.1
    )
    async with RawWebSocket(gateway.port) as client:
        response = await client.upgrade("/ws/a")
        assert response.status == 503
        assert "retry-after" in response.headers
        assert "bus" in response.text
    assert gateway.counters.connections_refused == {"bus_timeout": 1}
    ready = await get(gateway.port, "/readyz")
    assert ready.status == 503
    assert any("can't connect" in reason for reason in ready.json["reasons"])
    assert (await get(gateway.port, "/healthz")).status == 200


async def test_a_subscription_that_the_bus_refuses(embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: MemoryBroker, channel: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, SubscribeError(channel, "NOPERM"))
        return future

    monkeypatch.setattr(MemoryBroker, "subscribe", refuse)
    (gateway,) = await embedded(1)
    assert await refused(gateway, "/ws/a") == (503, "the bus refused the subscription")
    assert gateway.counters.connections_refused == {"bus_refused": 1}
    async with RawWebSocket(gateway.port) as impatient:
        impatient.abort()
    assert gateway.counters.connections_accepted == 0


@pytest.mark.parametrize(
    "target", ["//evil/ws/secret", "/ws/a\tb", "/ws/a#b", "ftp://x/ws/a", "http://u@x/ws/a", "ws/a"]
)
async def test_targets_that_a_proxy_might_read_otherwise_are_refused(embedded: EmbeddedFactory, target: str) -> None:
    (gateway,) = await embedded(1)
    assert (await refused(gateway, target))[0] == 400

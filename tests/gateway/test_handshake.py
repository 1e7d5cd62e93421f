"""The first request on a socket, made by hand."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest
import uvloop

from relay import Gateway, Settings
from relay.brokers.memory import MemoryBroker
from relay.clients.client import Client
from relay.errors import SubscribeError
from relay.gateway.handshake import Handshake
from relay.web.http_socket import MAX_HELD_BYTES
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get, send_request
from tests.harness.inside import parts_of
from tests.harness.live_objects import live_objects
from tests.harness.raw_websocket import TEXT, RawWebSocket

UPGRADE = (
    b"GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


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


async def test_a_client_that_leaves_during_its_handshake_leaves_nothing(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[asyncio.Future[None]] = []

    def wait(self: MemoryBroker, channel: str) -> asyncio.Future[None]:
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    monkeypatch.setattr(MemoryBroker, "subscribe", wait)
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    for outcome in (None, SubscribeError("a", "NOPERM")):
        async with RawWebSocket(gateway.port) as client:
            await client.send(UPGRADE)
            await wait_until(lambda: waiting)
            client.abort()
        await wait_until(lambda: not parts.front_door.http.connections)
        future = waiting.pop()
        if outcome is None:
            future.set_result(None)
        else:
            future.set_exception(outcome)
        await wait_until(lambda: parts.context.node.interests == 0, 3.0)
    assert gateway.counters.connections_accepted == 0
    assert parts.context.node.hub.channels == []


async def test_early_data_of_clients_that_have_left_is_not_kept(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acknowledgement is shared by all who wait for it; it must not keep those who have left."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    (gateway,) = await embedded(1)
    monkeypatch.setattr(MemoryBroker, "subscribe", lambda self, channel: future)
    parts = parts_of(gateway)
    for _ in range(5):
        async with RawWebSocket(gateway.port) as client:
            await client.send(UPGRADE + bytes(1000))
            await wait_until(lambda: parts.context.node.interests == 1 and len(parts.front_door.http.connections) == 1)
            client.abort()
            await wait_until(lambda: not parts.front_door.http.connections)
    await wait_until(lambda: not future._callbacks)


@pytest.mark.parametrize("ending", ["drain", "expire"])
async def test_a_client_that_left_unnoticed_can_be_refused(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    """Nothing is read of a client that has sent much already, so its end isn't either; a refusal must not raise."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    (gateway,) = await embedded(1, broker_timeout=60 if ending == "drain" else 0.5)
    monkeypatch.setattr(MemoryBroker, "subscribe", lambda self, channel: future)
    parts = parts_of(gateway)
    async with RawWebSocket(gateway.port) as client:
        await client.send(UPGRADE)
        await wait_until(lambda: parts.context.node.interests == 1)
        (handshake,) = parts.front_door.http.connections
        assert isinstance(handshake, Handshake)
        await client.send(bytes(MAX_HELD_BYTES + 1))
        await wait_until(lambda: len(handshake._buffer) > MAX_HELD_BYTES)
    if ending == "drain":
        await gateway.drain()
        assert gateway.problems == ["not started"]
    await wait_until(lambda: not parts.front_door.http.connections)
    assert sum(gateway.counters.connections_refused.values()) == 1
    assert not [record for record in caplog.records if record.exc_info]


async def test_errors_of_the_http_side_end_the_connection_and_fill_no_log(
    embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1)
    for request, status in [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: n\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: \xff\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nfoo bar\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ]:
        async with RawWebSocket(gateway.port) as client:
            await client.send(request)
            assert (await client.response()).status == status, request
            await client.end()
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "target", ["//evil/ws/secret", "/ws/a\tb", "/ws/a#b", "ftp://x/ws/a", "http://u@x/ws/a", "ws/a"]
)
async def test_targets_that_a_proxy_might_read_otherwise_are_refused(embedded: EmbeddedFactory, target: str) -> None:
    (gateway,) = await embedded(1)
    assert (await refused(gateway, target))[0] == 400


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_does_not_keep_its_handshake(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Freed at once: thousands of clients that stay would keep as many."""

    def handshakes() -> int:
        return live_objects(Handshake)

    async def connect() -> None:
        async with Gateway(Settings(port=0, drain_seconds=0)) as gateway:
            gc.collect()
            before = handshakes()
            async with RawWebSocket(gateway.port) as client:
                assert (await client.upgrade("/ws/lobby")).status == 101
                await wait_until(lambda: handshakes() == before)
                assert gateway.counters.connections_open == 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(connect())


@pytest.mark.parametrize("step", ["__init__", "_join"])
@pytest.mark.parametrize("target", ["/ws/a", "/sse/a"])
async def test_a_client_that_can_not_take_over_its_socket_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, target: str, step: str
) -> None:
    """Its place, that of its address and its user, and its claim on the channel are given back."""

    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Client, step, fail)
    settings = Settings(port=0, drain_seconds=0, max_connections_per_address=1, max_connections_per_user=1)
    async with Gateway(settings) as gateway:
        parts = parts_of(gateway)
        request = UPGRADE if target == "/ws/a" else b"GET /sse/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
        async with RawWebSocket(gateway.port) as client:
            await client.send(request.replace(b"/a ", b"/a?user=ann "))
            with pytest.raises((OSError, EOFError)):
                await client.response()
        await wait_until(lambda: not parts.front_door.http.connections and not parts.context.node.interests)
        assert (len(parts.front_door.limits.connections), len(parts.context.registry)) == (0, 0)

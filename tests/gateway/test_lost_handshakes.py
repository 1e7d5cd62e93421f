"""Handshakes whose clients leave, or whose sockets fail."""

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
from tests.harness.inside import parts_of
from tests.harness.live_objects import live_objects
from tests.harness.raw_websocket import RawWebSocket

UPGRADE = (
    b"GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


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

"""What strangers do to a port with TLS: they are slow, speak nonsense, or make it work. Others notice nothing."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress

import pytest

from relay import Gateway
from relay.clients.websocket import WebSocket
from relay.gateway.tls_transport import KEY_UPDATES, WASTE
from relay.tls.client_hello import MAX_BYTES
from tests.gateway.secure import SecureFactory
from tests.gateway.secure import secure as secure
from tests.gateway.test_tls import UPGRADE
from tests.harness.conditions import wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import PING, TEXT, RawWebSocket, encode_frame
from tests.harness.tls13_client import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    DATA,
    HANDSHAKE,
    KEY_UPDATE,
    KEY_UPDATE_REQUEST,
    Tls13Client,
    client_hello,
    record,
)
from tests.harness.websocket_client import connected

HELLO = record(HANDSHAKE, client_hello(b"k" * 32))
"""Its key is no point of the curve's, but that shows late."""


async def ask(port: int, data: bytes) -> bytes:
    """Send exact bytes to a port, without TLS; return all that comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    with suppress(ConnectionError):
        received = await reader.read()
    writer.transport.abort()
    return received


@asynccontextmanager
async def upgraded(gateway: Gateway) -> AsyncIterator[Tls13Client]:
    """Connect a WebSocket whose records the test makes itself; it hears what it sends."""
    async with Tls13Client(gateway.port) as client:
        await client.send(client.seal(DATA, UPGRADE.replace(b"/ws/a ", b"/ws/a?echo=1 ")))
        assert (await client.data(12)).startswith(b"HTTP/1.1 101")
        yield client


async def closed(gateway: Gateway) -> None:
    """Wait until the gateway has no socket left."""
    front_door = parts_of(gateway).front_door
    await wait_until(lambda: front_door.sockets == 0)


# Before the handshake is complete.


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x16\x03\x01\x00\x00", "malformed"),
        (b"\x16" + b"nonsense", "malformed"),
        (record(HANDSHAKE, b"\x01\x02\x00\x00"), "malformed"),  # 128 KB are to come
        (record(HANDSHAKE, b"\x01" + (MAX_BYTES + 1).to_bytes(3)), "malformed"),
        (b"".join(record(HANDSHAKE, b"\x01") for _ in range(20)), "malformed"),
        (record(HANDSHAKE, client_hello(b"k" * 32, groups=(0x0104,))), "cipher"),
        (record(HANDSHAKE, client_hello(b"k", groups=(0x0A0A,))), "cipher"),
        (HELLO + record(HANDSHAKE, b"\x14\x00\x00\x00"), "malformed"),
        (HELLO + record(ALERT, b"\x02\x30"), "alert"),
    ],
)
async def test_a_handshake_that_can_not_be_gets_an_alert(secure: SecureFactory, sent: bytes, reason: str) -> None:
    gateway = await secure()
    answer = await ask(gateway.port, sent)
    assert b"HTTP" not in answer
    assert answer[:2] in (b"\x15\x03", b"\x16\x03") or reason == "alert"
    await closed(gateway)
    assert gateway.counters.tls_handshake_failures == {reason: 1}
    assert (await get(gateway.port, "/readyz")).status == 200


async def test_tls_1_1_is_refused(secure: SecureFactory) -> None:
    gateway = await secure()
    hello = b"\x03\x02" + bytes(32) + b"\x00" + b"\x00\x04\xc0\x13\xc0\x09" + b"\x01\x00" + b"\x00\x00"
    answer = await ask(gateway.port, record(HANDSHAKE, b"\x01" + len(hello).to_bytes(3) + hello))
    assert answer[0] == ALERT
    assert answer[-2:] == b"\x02\x46"  # fatal: protocol_version
    assert gateway.counters.tls_handshake_failures == {"version": 1}


async def test_200_slow_handshakes_end_in_time_and_cost_next_to_nothing(secure: SecureFactory) -> None:
    """Byte by byte, or with a stop in the middle; somebody who knows how is served meanwhile."""
    gateway = await secure(handshake_timeout=1.0)
    front_door = parts_of(gateway).front_door
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.socket()) for _ in range(200)]
        for number, connection in enumerate(slow):
            connection.setblocking(False)
            await loop.sock_connect(connection, ("127.0.0.1", gateway.port))
            await loop.sock_sendall(connection, HELLO if number % 2 else HELLO[: number % 100 + 1])
        async with connected(f"{gateway.url}/ws/a") as (client,):
            await wait_until(lambda: gateway.counters.tls_handshake_failures["timeout"] == 200)
            await gateway.publish("a", "still here")
            assert await client.receive(1) == ["still here"]
        for connection in slow:
            with suppress(ConnectionError):
                while await loop.sock_recv(connection, 4096):
                    pass
    await wait_until(lambda: front_door.sockets == 0)
    assert gateway.counters.tls_handshake_failures == {"timeout": 200}


async def test_a_client_that_leaves_in_its_handshake_is_counted(secure: SecureFactory) -> None:
    """A balancer's look whether the port is open is none."""
    gateway = await secure()
    for sent in (b"", b"\x16", HELLO):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        await writer.drain()
        if sent == HELLO:
            await _.readexactly(1)
        writer.close()
        await closed(gateway)
    assert gateway.counters.tls_handshake_failures == {"disconnected": 2}


async def test_a_drain_ends_handshakes(secure: SecureFactory) -> None:
    """Nothing can be said before they are complete."""
    gateway = await secure()
    connections = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(3)]
    for (_, writer), sent in zip(connections, (b"", HELLO[:9], HELLO), strict=True):
        writer.write(sent)
    front_door = parts_of(gateway).front_door
    await wait_until(lambda: front_door.sockets == 3)
    await gateway.drain()
    for reader, writer in connections:
        with suppress(ConnectionError):
            assert b"HTTP" not in await reader.read()
        writer.close()


# Afterwards.


async def test_new_keys_are_made_as_often_as_anybody_needs(secure: SecureFactory) -> None:
    gateway = await secure()
    async with upgraded(gateway) as client:
        for number in range(KEY_UPDATES.burst - 1):
            await client.send(client.seal(HANDSHAKE, KEY_UPDATE_REQUEST if number % 2 else KEY_UPDATE))
            await client.send(client.seal(DATA, encode_frame(TEXT, b"%d" % number)))
            assert await client.data(len(b"%d" % number) + 2) == b"\x81" + bytes([len(str(number))]) + b"%d" % number
    await closed(gateway)


@pytest.mark.parametrize(
    "seal",
    [
        lambda client: client.seal(HANDSHAKE, KEY_UPDATE_REQUEST),
        lambda client: client.seal(DATA, b""),
        lambda client: record(CHANGE_CIPHER_SPEC, b"\x01"),
        lambda client: client.seal(ALERT, b"\x01\x5a"),
        lambda client: client.seal(HANDSHAKE, client_hello(b"k" * 32)),
        lambda client: client.seal(HANDSHAKE, b"\x18\x00\x00\x01\x02"),
        lambda client: client.seal(99, b"x"),
        lambda client: client.seal(DATA, b"x")[:-1] + b"x",
        lambda client: record(DATA, b"x" * 17_000),
        lambda client: b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_records_without_data_end_the_connection_when_there_are_many(
    secure: SecureFactory, seal: Callable[[Tls13Client], bytes]
) -> None:
    """And at once, when there must be none of them. Everybody else goes on."""
    gateway = await secure()
    async with connected(f"{gateway.url}/ws/a") as (healthy,), upgraded(gateway) as client:
        with suppress(ConnectionError):
            await client.send(b"".join(seal(client) for _ in range(200)))
        found = await client.to_the_end()
        assert all(kind in (ALERT, HANDSHAKE) for kind, _ in found)
        await wait_until(lambda: gateway.counters.connections_open == 1)
        await gateway.publish("a", "on")
        assert await healthy.receive(1) == ["on"]


async def test_keys_that_nobody_asked_for_slow_their_sender_down(secure: SecureFactory) -> None:
    """Each costs as much as three messages, and has 27 bytes; at last they end the connection."""
    gateway = await secure()
    async with connected(f"{gateway.url}/ws/a") as (healthy,), upgraded(gateway) as client:
        block = b"".join(client.seal(HANDSHAKE, KEY_UPDATE) for _ in range(WASTE.burst // 10))
        with suppress(ConnectionError):
            await client.send(block)
        with suppress(ConnectionError):
            await client.to_the_end()
        await wait_until(lambda: gateway.counters.connections_open == 1)
        await gateway.publish("a", "on")
        assert await healthy.receive(1) == ["on"]


async def test_a_connection_that_breaks_within_a_record_has_ended(secure: SecureFactory) -> None:
    """By a FIN without `close_notify`, or by a reset. What was whole before has counted."""
    gateway = await secure()
    async with connected(f"{gateway.url}/ws/a") as (healthy,):
        for reset in (False, True):
            async with upgraded(gateway) as client:
                whole = client.seal(DATA, encode_frame(TEXT, b"whole"))
                await client.send(whole + client.seal(DATA, encode_frame(TEXT, b"cut"))[:-5])
                await client.data(7)
                if reset:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await wait_until(lambda: gateway.counters.connections_open == 1)
        assert await healthy.receive(2) == ["whole", "whole"]
    assert gateway.counters.connections_closed[1006] >= 2


async def test_one_that_asks_and_does_not_read_is_bounded(secure: SecureFactory) -> None:
    """Pings and new keys make answers, which are small, but many."""
    gateway = await secure()
    async with upgraded(gateway) as client:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(20):
                while True:
                    sealed = (client.seal(HANDSHAKE, KEY_UPDATE_REQUEST), client.seal(DATA, encode_frame(PING, b"")))
                    await client.send(b"".join(sealed * 10))
        await closed(gateway)


@pytest.mark.parametrize("size", [16_384, 9_000, 3_000])
async def test_a_client_that_sends_much_at_once_is_not_taken_for_one_that_sends_no_data(
    secure: SecureFactory, size: int
) -> None:
    """What is read of a record and not decrypted in the same turn is no waste; it was counted as such each time."""
    gateway = await secure(max_bytes_per_second=0, send_buffer_bytes=16_000_000)
    async with upgraded(gateway) as client:
        frames = encode_frame(TEXT, b"x" * 65_000) * 150
        records = [client.seal(DATA, frames[at : at + size]) for at in range(0, len(frames), size)]
        sending = asyncio.create_task(client.send(b"".join(records)))
        await wait_until(lambda: gateway.counters.messages_received == 150 or not gateway.counters.connections_open)
        assert gateway.counters.messages_received == 150
        await sending


async def test_a_paused_client_is_decrypted_no_further(secure: SecureFactory) -> None:
    """What it has sent waits as it came, a read at most, and then in the kernel."""
    gateway = await secure()
    node = parts_of(gateway).context.node
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/ws/a?echo=1")).status == 101
        (paused,) = parts_of(gateway).context.registry
        assert isinstance(paused, WebSocket)
        node.pause(paused)
        for number in range(50):
            await client.send_frame(TEXT, b"%04d" % number * 1000)
        assert gateway.counters.messages_received == 0
        paused.resume_publishing()
        assert [(await client.frame()).payload[:4] for _ in range(50)] == [b"%04d" % number for number in range(50)]

"""A socket as long as it speaks HTTP: what its requests may bring with them, and what it may become."""

from __future__ import annotations

import asyncio
import gc
import random
import ssl
import tracemalloc
from contextlib import suppress

import pytest
from aiohttp import web
from websockets.http11 import Request

from relay import Gateway
from relay.protocols.http_body import STEPS_PER_TURN
from relay.web.http_connection import HttpConnection
from relay.web.http_socket import MAX_HELD_BYTES
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.http_response import HttpResponse, read_response, send_request
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket, encode_frame
from tests.harness.server_api import KEY, request

PUBLISH = request("/publish/a", b"x", "Content-Type: text/plain")
INFO = request("/api/info", b"{}", f"X-API-Key: {KEY}")
POLL = request("/poll/b?wait=0", method="GET")
WAITING = request("/poll/b?wait=25", method="GET")
HANDSHAKE = request(
    "/ws/a?echo=1", b"", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13", method="GET",
)  # fmt: skip
INNER = request("/publish/secret", b"SMUGGLED", "Content-Type: text/plain")


async def talk(gateway: Gateway, data: bytes, count: int = 1) -> list[HttpResponse]:
    """Send bytes over a fresh connection, and return so many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            return [await read_response(reader) for _ in range(count)]
    finally:
        writer.transport.abort()


async def everything(port: int, data: bytes, cuts: list[int], *, half_close: bool = True) -> bytes:
    """Send bytes in pieces, and return all that comes until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            writer.write(data[start:end])
            await asyncio.sleep(0)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.transport.abort()


def statuses(answers: bytes) -> list[int]:
    """Return the statuses of answers in a row."""
    return [int(piece[:3]) for piece in answers.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_used_connection_becomes_a_websocket(gateways: GatewayFactory, event_loop: str) -> None:
    """As it is asked to by proxies and clients that keep their connections."""
    (gateway,) = await gateways(1, event_loop=event_loop, api_keys=KEY)
    for before in (PUBLISH, INFO, POLL, PUBLISH + INFO + POLL):
        async with RawWebSocket(gateway.port) as client:
            await client.send(before)
            for _ in range(before.count(b"HTTP/1.1")):
                assert (await client.response()).status == 200
            await client.send(HANDSHAKE + encode_frame(TEXT, b"early"))
            assert (await client.response()).status == 101
            assert (await client.frame()).payload == b"early"
            await client.send_frame(TEXT, b"later")
            assert (await client.frame()).payload == b"later"


async def test_it_may_all_come_at_once(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        await client.send(PUBLISH * 3 + HANDSHAKE + encode_frame(TEXT, b"early"))
        assert [(await client.response()).status for _ in range(4)] == [200, 200, 200, 101]
        assert (await client.frame()).payload == b"early"
    parts = parts_of(gateway)
    await wait_until(lambda: not parts.front_door.sockets and not parts.front_door.http.server.connections)


async def test_a_handshake_over_a_used_connection_is_refused_as_any(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    answers = await everything(gateway.port, PUBLISH + HANDSHAKE.replace(b"/ws/a", b"/nowhere"), [])
    assert statuses(answers) == [200, 404]
    assert gateway.counters.connections_refused == {"not_found": 1}


@pytest.mark.parametrize("token", ["h2c", "foo", "foo, websocket", "websocket", "TLS/1.0"])
async def test_an_upgrade_that_is_not_taken_up_swallows_nothing(embedded: EmbeddedFactory, token: str) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as victim:
        assert (await victim.upgrade("/ws/secret")).status == 101
        upgrade = ("Content-Type: text/plain", "Connection: Upgrade", f"Upgrade: {token}")
        data = request("/publish/x", b"A", *upgrade) + request("/publish/x", INNER, "Content-Type: text/plain")
        for cut in (len(data) - len(INNER), 1, len(data)):
            assert statuses(await everything(gateway.port, data, [cut])) == [200, 200]
        await talk(gateway, request("/publish/secret", b"done", "Content-Type: text/plain"))
        assert (await victim.frame()).payload == b"done"


async def test_connect_makes_no_tunnel(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    answers = await everything(gateway.port, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n" + PUBLISH, [])
    assert statuses(answers) == [405]
    assert gateway.counters.messages_received == 0


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_who_closes_its_side_gets_its_answers(gateways: GatewayFactory, event_loop: str) -> None:
    """`nc -N`, and every client that says in this way that its request is whole."""
    (gateway,) = await gateways(1, event_loop=event_loop)
    for data, answered in [
        (request("/readyz", method="GET"), [200]),
        (request("/metrics", method="GET"), [200]),
        (request("/nothing", method="GET"), [404]),
        (POLL, [200]),
        (PUBLISH, [200]),
        (PUBLISH * 5, [200] * 5),
        (WAITING, [200]),
        (PUBLISH + PUBLISH[:-1], [200, 400]),
        (PUBLISH + PUBLISH[:20], [200, 400]),
        (PUBLISH[:20], [400]),
        (request("/publish/a", b"5\r\nab", "Transfer-Encoding: chunked"), [400]),
        (b"", []),
    ]:
        assert statuses(await everything(gateway.port, data, [])) == answered, data


async def test_a_poll_that_nobody_may_wait_for_is_answered_at_once(embedded: EmbeddedFactory) -> None:
    """A client that has left looks the same as one that has closed its side."""
    (gateway,) = await embedded(1)
    began = asyncio.get_running_loop().time()
    (body,) = [part for part in (await everything(gateway.port, WAITING, [])).split(b"\r\n\r\n") if b"cursor" in part]
    assert b'"messages":[]' in body.replace(b" ", b"")
    assert asyncio.get_running_loop().time() - began < 20


async def test_tls_is_told_apart_at_once(embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture) -> None:
    (gateway,) = await embedded(1, handshake_timeout=60)
    trusting = ssl.create_default_context()
    with pytest.raises(ssl.SSLError, match=r"(?i)version"):
        async with asyncio.timeout(20):
            await asyncio.open_connection("127.0.0.1", gateway.port, ssl=trusting)
    assert gateway.counters.connections_refused == {"tls": 1}
    assert "TLS spoken to a port without it" in caplog.text
    assert await everything(gateway.port, b"\x16\x03\x01", [1], half_close=False) == b"\x15\x03\x01\x00\x02\x02\x46"


async def test_http_2_is_told_what_is_spoken_here(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    answer = await send_request(gateway.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    assert (answer.status, answer.text) == (505, "this port speaks HTTP/1.1\n")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nfoo bar\r\n\r\n",
        b"GET / HTTP/1.1\n\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /publish/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"POST /publish/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n",
    ],
)
async def test_errors_are_our_own(embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    """Nobody needs to know which versions answer."""
    (gateway,) = await embedded(1)
    answer = await everything(gateway.port, data + PUBLISH, [], half_close=False)
    assert len(statuses(answer)) == 1
    assert 400 <= statuses(answer)[0] <= 505
    assert b"Server: relay\r\n" in answer
    assert "Traceback" not in caplog.text
    assert gateway.counters.messages_received == 0


async def test_what_comes_behind_a_request_waits_in_bounds(embedded: EmbeddedFactory) -> None:
    """It was taken for errors of up to a megabyte each before, 32 of them for each connection."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(WAITING)
    await wait_until(lambda: len(parts.cursors) == 1)
    for _ in range(40):
        writer.write(bytes(262144))
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    await wait_until(lambda: len(connection._buffer) > MAX_HELD_BYTES)
    assert await stays_true(lambda: len(connection._buffer) <= MAX_HELD_BYTES + 262144, 0.2)
    (handler,) = parts.front_door.http.server.connections
    assert not handler._messages
    writer.transport.abort()


SCRIPT = [
    PUBLISH,
    POLL,
    b"\r\n" + request("/publish/a", b"5\r\nhello\r\n1;x\r\n!\r\n0\r\nT: x\r\n\r\n", "Transfer-Encoding: chunked"),
    request("/publish/a", b"A", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: x"),
    request("http://y/publish/a", b"A"),
    request("/publish/a", b"B", "Expect: 100-continue"),
]
ENDS = [
    b"",
    HANDSHAKE.replace(b"/ws/a", b"/ws/a%20b"),
    PUBLISH[:30],
    bytes(40),
    b"GET / HTTP/1.1\nHost: x\n\n",
    request("/publish/a", b"1\r\nab\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    request("/publish/a", b"x", "Connection: close") + PUBLISH,
    request("/sse/a#b", method="GET"),
]


async def test_answers_are_the_same_however_the_bytes_come(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    chance = random.Random(9)
    for end in ENDS:
        data = b"".join([*chance.sample(SCRIPT, 4), end])
        whole = statuses(await everything(gateway.port, data, []))
        assert len([status for status in whole if status != 100]) >= 4
        for count in (1, 2, 30, len(data) - 1):
            cuts = sorted(chance.sample(range(1, len(data)), min(count, len(data) - 1)))
            assert statuses(await everything(gateway.port, data, cuts)) == whole, (end, cuts)


@pytest.mark.parametrize("chunk", [0, 1, 4096, 200_000])
async def test_large_bodies_come_through(embedded: EmbeddedFactory, chunk: int) -> None:
    """More than aiohttp takes at once, and more chunks than have their turn at once."""
    (gateway,) = await embedded(1, max_message_bytes=1_000_000)
    body = random.Random(1).randbytes(20_000 if chunk == 1 else 900_000)
    async with RawWebSocket(gateway.port) as listener:
        assert (await listener.upgrade("/ws/a")).status == 101
        data = request("/publish/a", body)
        if chunk:
            pieces = [body[start : start + chunk] for start in range(0, len(body), chunk)]
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            data = request("/publish/a", chunks, "Transfer-Encoding: chunked")
        answers = await talk(gateway, data + POLL, 2)
        assert [answer.status for answer in answers] == [200, 200]
        assert (await listener.frame()).payload == body


async def test_a_refusal_arrives_though_the_body_is_on_its_way(embedded: EmbeddedFactory) -> None:
    """A reset would take the answer with it."""
    (gateway,) = await embedded(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request("/publish/a", b"", "Content-Length: 3000000"))
    for _ in range(30):
        writer.write(bytes(100_000))
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert (await read_response(reader)).status == 413
    writer.transport.abort()


async def test_of_too_many_idle_connections_the_oldest_goes(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.web.http_port.IDLE_CONNECTIONS", 2)
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    kept = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(3)]
    for reader, writer in kept:
        writer.write(POLL)
        assert (await read_response(reader)).status == 200
    await wait_until(lambda: len(parts.front_door.http.connections) == 2)
    assert gateway.counters.http_connections_evicted == 1
    kept[2][1].write(POLL)
    assert (await read_response(kept[2][0])).status == 200
    for _, writer in kept:
        writer.transport.abort()


async def test_a_connection_that_gives_way_in_the_midst_of_its_body_does_nothing_more(
    embedded: EmbeddedFactory,
) -> None:
    """More chunks than one turn takes are there, so it has another turn before its socket is closed."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /publish/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await wait_until(lambda: [it for it in parts.front_door.http.connections if not it.in_handshake])
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    faults: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, fault: faults.append(fault))
    try:
        connection.data_received(b"1\r\nx\r\n" * (STEPS_PER_TURN // 2) + b"0\r\n\r\n")
        assert parts.front_door.http.connections.evict()
        assert gateway.counters.http_connections_evicted == 1
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                assert await reader.read() == b""
    finally:
        loop.set_exception_handler(None)
        writer.transport.abort()
    assert (faults, len(parts.front_door.http.connections)) == ([], 0)
    assert gateway.counters.messages_received == 0


async def test_many_small_chunks_wait_for_their_turns(embedded: EmbeddedFactory) -> None:
    """However they come, and though the client has closed its side: others have their turn meanwhile."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /publish/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await wait_until(lambda: [it for it in parts.front_door.http.connections if not it.in_handshake])
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    for _ in range(5):
        connection.data_received(b"1\r\nx\r\n" * STEPS_PER_TURN)
    connection.data_received(b"0\r\n\r\n")
    connection.eof_received()
    assert len(connection._buffer) > 4 * 6 * STEPS_PER_TURN, "one turn"
    async with asyncio.timeout(10):
        assert (await read_response(reader)).status == 200
    assert gateway.counters.bytes_received == 5 * STEPS_PER_TURN
    writer.transport.abort()


async def test_a_body_that_is_broken_after_an_interim_answer_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = b"POST /publish/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head)
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"x\r\n")
        assert (await read_response(reader)).status == 400
    writer.transport.abort()


async def test_who_does_not_read_an_answer_gives_way(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(WAITING)
    await wait_until(lambda: len(parts.cursors) == 1)
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    connection.pause_writing()
    connection.resume_writing()
    assert not parts.front_door.http.connections.evict()
    connection.pause_writing()
    assert parts.front_door.http.connections.evict()
    writer.transport.abort()


async def test_a_kept_connection_does_not_keep_its_last_answer(embedded: EmbeddedFactory) -> None:
    """Many that poll once would else hold the memory of many slow consumers, and have no place."""
    (gateway,) = await embedded(1)
    connections = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(20)]
    reader, writer = connections[0]
    writer.write(POLL)
    cursor = (await read_response(reader)).json["cursor"]
    for _ in range(8):
        await gateway.publish("b", bytes(60_000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for reader, writer in connections:
            writer.write(request(f"/poll/b?wait=0&cursor={cursor}", method="GET"))
            assert len((await read_response(reader)).body) > 600_000
        assert tracemalloc.get_traced_memory()[0] - before < 5_000_000
    finally:
        tracemalloc.stop()
    for _, writer in connections:
        writer.transport.abort()


@pytest.mark.parametrize(
    "data",
    [
        request("/publish/a", bytes(10_000), "Content-Length: 20000"),
        request("/publish/a", b"3e8\r\n" + bytes(1000), "Transfer-Encoding: chunked"),
        request("/api/info", bytes(10_000), f"X-API-Key: {KEY}", "Content-Length: 20000"),
        request("/ws/a", b"", "Upgrade: websocket", "Connection: Upgrade", method="GET"),
        HANDSHAKE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl!"),
        HANDSHAKE.replace(b"Connection: Upgrade", b"Connection: close"),
    ],
)
async def test_a_client_that_leaves_or_is_refused_leaves_no_memory(embedded: EmbeddedFactory, data: bytes) -> None:
    """An error holds the frames of its traceback, and so what was sent; what keeps the error must not hold it then."""

    def alive() -> int:
        return sum(isinstance(thing, web.Request | Request) for thing in gc.get_objects())

    (gateway,) = await embedded(1, api_keys=KEY)
    parts = parts_of(gateway)
    gc.collect()
    before = alive()
    gc.disable()
    try:
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(data)
            await wait_until(lambda: len(parts.front_door.http.connections) == 1)
            await wait_until(lambda: alive() > before or bool(gateway.counters.connections_refused))
            writer.transport.abort()
            await wait_until(lambda: len(parts.front_door.http.connections) == 0)
        await wait_until(lambda: alive() == before)
    finally:
        gc.enable()

"""A connection as long as it speaks HTTP: what its requests may bring with them, and what it may become."""

from __future__ import annotations

import asyncio
import random
import ssl

import pytest

from relay.web.http_connection import HttpConnection
from relay.web.http_socket import MAX_HELD_BYTES
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import PATIENCE_SECONDS, stays_true, wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.http_response import send_request
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket, encode_frame
from tests.harness.server_api import KEY, request
from tests.web.exchange import HANDSHAKE, INFO, POLL, PUBLISH, WAITING, everything, statuses, talk

INNER = request("/publish/secret", b"SMUGGLED", "Content-Type: text/plain")


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
    answers = await everything(gateway.port, b"CONNECT x:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + PUBLISH, [])
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
        async with asyncio.timeout(PATIENCE_SECONDS):
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
        b"GET / HTTP/1.1\r\nHost: localhost\r\nfoo bar\r\n\r\n",
        b"GET / HTTP/1.1\n\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n",
    ],
)
async def test_errors_are_our_own(embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    """The versions of the libraries behind the relay are not shown."""
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
    await wait_until(lambda: len(parts.polling_clients) == 1)
    (handler,) = parts.front_door.http.server.connections
    for _ in range(40):
        writer.write(bytes(262144))
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    await wait_until(lambda: len(connection._buffer) > MAX_HELD_BYTES)
    assert await stays_true(lambda: len(connection._buffer) <= MAX_HELD_BYTES + 262144, 0.2)
    assert not handler._messages
    writer.transport.abort()


SCRIPT = [
    PUBLISH,
    POLL,
    b"\r\n" + request("/publish/a", b"5\r\nhello\r\n1;x\r\n!\r\n0\r\nT: x\r\n\r\n", "Transfer-Encoding: chunked"),
    request("/publish/a", b"A", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: x"),
    request("http://localhost/publish/a", b"A"),
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

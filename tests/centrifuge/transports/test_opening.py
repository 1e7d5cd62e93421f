"""Requests that open streams: their bodies, whole and in pieces, good and bad."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.centrifuge.transports.stream_client import CONNECT, StreamClient, commands
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.http_response import read_response, send_request
from tests.harness.inside import parts_of
from tests.harness.server_api import request

PATH = "/connection/http_stream"
BODY = commands(CONNECT, {"id": 2, "subscribe": {"channel": "ä"}})
WHOLE = request(PATH, BODY)
CHUNKED = (
    request(PATH, b"", "Transfer-Encoding: chunked")
    + b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in (BODY[:1], BODY[1:40], BODY[40:]))
    + b"0\r\nTrailer: x\r\n\r\n"
)


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_request_may_come_in_any_pieces(gateways: GatewayFactory, event_loop: str) -> None:
    (gateway,) = await gateways(1, event_loop=event_loop)
    for whole, size in itertools.product((WHOLE, CHUNKED), (1, 7, 50, 10_000)):
        client = StreamClient(gateway.port, whole[:size])
        opening = asyncio.create_task(client.__aenter__())
        await client.asking.wait()
        for start in range(size, len(whole), size):
            await client.send(whole[start : start + size])
            await asyncio.sleep(0)
        await opening
        assert (await client.reply(2))["subscribe"] == {}
        client.abort()


async def test_a_client_waits_to_be_told_to_send_its_body(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head, _, body = request(PATH, BODY, "Expect: 100-continue").partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.transport.abort()


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        (request(PATH, b"x" * 2001), 413, "more than 2000"),
        (request(PATH, b"", "Transfer-Encoding: chunked") + b"800\r\n" + b"x" * 2048, 413, "more than 2000"),
        (request(PATH, b"", "Transfer-Encoding: chunked") + b"zz\r\n", 400, "broken"),
        (request(PATH, BODY, "Content-Encoding: gzip"), 415, "compressed"),
        (request(PATH, BODY, "Origin: https://evil.example"), 403, "RELAY_ALLOWED_ORIGINS"),
        (request(PATH, BODY, "Sec-Fetch-Site: cross-site"), 403, "without an Origin header"),
        (request(PATH, BODY, "Host: x"), 400, "Host"),
        (request("/connection/sse", method="GET"), 400, "cf_connect"),
        (request("/connection/sse?cf_connect=", method="GET"), 400, "cf_connect"),
        (request("/connection/sse?cf_connect=%ff", method="GET"), 400, "malformed"),
        (request("/connection/sse?cf_connect={}", b"x", method="GET"), 400, "no body"),
        (request("/connection/http_stream", method="GET"), 405, "POST"),
        (request("/connection/uni_http_stream", method="GET"), 405, "POST"),
        (request("/connection/uni_http_stream", b""), 400, "malformed"),
        (request("/connection/uni_http_stream", b"{"), 400, "malformed"),
        (request("/connection/uni_http_stream", b"[]"), 400, "malformed"),
        (request("/connection/uni_http_stream", b'{"token":1}'), 400, "malformed"),
        (request("/connection/uni_http_stream", b'{"token":"\xff"}'), 400, "malformed"),
        (request("/connection/uni_sse?cf_connect=x", method="GET"), 400, "malformed"),
        (request("/connection/%73se?cf_connect={}", method="GET"), 404, "nothing here"),
        (request("/connection/other", BODY), 404, "Nothing here"),
    ],
    ids=itertools.count(),
)
async def test_a_refusal_says_why(embedded: EmbeddedFactory, asked: bytes, status: int, reason: str) -> None:
    (gateway,) = await embedded(1, max_message_bytes=2000, send_buffer_bytes=10_000)
    response = await send_request(gateway.port, asked)
    assert (response.status, reason in response.text) == (status, True), response
    assert gateway.counters.connections_accepted == 0


async def test_a_page_may_read_why_it_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=("*",), max_connections=1)
    headers = ("Origin: https://a.example",)
    response = await send_request(gateway.port, request("/connection/uni_http_stream", b"{", *headers))
    assert (response.status, response.headers["access-control-allow-origin"]) == (400, "*")
    async with StreamClient.http_stream(gateway.port):
        response = await send_request(gateway.port, request(PATH, BODY, *headers))
        assert (response.status, response.headers["access-control-allow-origin"]) == (503, "*")


PAGE = "https://a.example"
OF_A_PAGE = f"Origin: {PAGE}"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(PATH, b"x" * 2001, OF_A_PAGE), 413),
        (request(PATH, b"", OF_A_PAGE, "Transfer-Encoding: chunked") + b"zz\r\n", 400),
        (request(PATH, BODY, OF_A_PAGE, "Content-Encoding: gzip"), 415),
        (request("/sse/a", b"x", OF_A_PAGE, method="GET"), 400),
        (request("/connection/sse?cf_connect={}", b"x", OF_A_PAGE, method="GET"), 400),
    ],
    ids=itertools.count(),
)
async def test_a_page_may_read_what_is_wrong_with_its_body(
    embedded: EmbeddedFactory, asked: bytes, status: int
) -> None:
    (gateway,) = await embedded(1, allowed_origins=(PAGE,), max_message_bytes=2000, send_buffer_bytes=10_000)
    response = await send_request(gateway.port, asked)
    assert (response.status, response.headers.get("access-control-allow-origin")) == (status, PAGE)
    response = await send_request(gateway.port, asked.replace(b"a.example", b"b.example"))
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("target", ["/connection/sse?cf_connect={}", "/sse/a", "/poll/a"])
async def test_a_page_may_read_that_there_are_too_many(embedded: EmbeddedFactory, target: str) -> None:
    """At its address, or at the gateway."""
    (gateway,) = await embedded(1, allowed_origins=(PAGE,), max_new_connections_per_second=1)
    for _ in range(30):
        response = await send_request(gateway.port, request("/sse/a%20b", b"", OF_A_PAGE, method="GET"))
    assert (response.status, response.headers.get("access-control-allow-origin")) == (503, PAGE)
    parts_of(gateway).front_door.max_sockets = 8
    waiting = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(7)]
    response = await send_request(gateway.port, request(target, b"", OF_A_PAGE, method="GET"))
    assert (response.status, response.headers.get("access-control-allow-origin")) == (503, PAGE)
    for _, writer in waiting:
        writer.transport.abort()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{",
        b"\n",
        b"{}",
        b"[]",
        b'{"id":1}',
        b'{"id":1,"subscribe":{"channel":"a"}}',
        b'{"connect":{}}',
        b'{"id":-1,"connect":{}}',
        b'{"id":1,"connect":{}}\n{"id":2,"connect":{}}',
        b'{"id":1,"connect":{"token":"\xff"}}',
        b'{"id":1,"connect":{}}\n\n{}',
        b"[" * 5000,
    ],
)
async def test_what_is_no_command_ends_the_stream_with_a_word(embedded: EmbeddedFactory, said: bytes) -> None:
    (gateway,) = await embedded(1)
    async with StreamClient(gateway.port, request(PATH, said)) as client:
        (*_, last) = await client.to_the_end()
        assert last == {"push": {"disconnect": {"code": 3501, "reason": "bad request"}}}
    await wait_until(lambda: not gateway.counters.connections_open)
    assert len(parts_of(gateway).context.emulated_streams) == 0


async def test_a_client_that_has_begun_waits_for_nothing(embedded: EmbeddedFactory) -> None:
    """What says nothing of itself is an empty request to connect."""
    (gateway,) = await embedded(1)
    for said in (b"null", b" {}\n", b'{"token":null,"data":null,"subs":null}', b'{"name":"x","other":[1]}'):
        async with StreamClient(gateway.port, request("/connection/uni_http_stream", said)) as client:
            await client.until(lambda one: "connect" in one)


async def test_a_body_without_an_end_ends_with_the_connection_or_the_time(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.gateway.handshake.BODY_SECONDS", 0.3)
    (gateway,) = await embedded(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(WHOLE[:-3])
    response = await read_response(reader)
    assert (response.status, "did not arrive" in response.text) == (408, True)
    writer.transport.abort()
    monkeypatch.undo()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(WHOLE[:-3])
    writer.write_eof()
    response = await read_response(reader)
    assert (response.status, response.text) == (400, "the request has no end\n")
    writer.transport.abort()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(WHOLE[:-3])
    await wait_until(lambda: len(parts_of(gateway).front_door.http.connections))
    writer.transport.abort()
    await wait_until(lambda: not len(parts_of(gateway).front_door.http.connections))


async def test_a_drain_sends_a_client_away_whose_body_is_coming(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=(PAGE,))
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request(PATH, BODY, OF_A_PAGE)[:-3])
    connections = parts_of(gateway).front_door.http.connections
    await wait_until(lambda: any(connection._stage.name == "COLLECT" for connection in connections))  # type: ignore[attr-defined]
    for connection in connections:
        connection.drain()
    response = await read_response(reader)
    assert (response.status, response.headers.get("access-control-allow-origin")) == (503, PAGE)
    writer.transport.abort()

"""Connections that come through proxies, made by hand; the address that counts is the one in the log."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from aiohttp import web

from relay.web.app_keys import REFUSED_NAMES
from relay.web.refused_names import RefusedNames
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.http_response import get, send_request
from tests.harness.inside import parts_of
from tests.harness.proxy_headers import LOCAL, proxy_header
from tests.harness.raw_websocket import TEXT, RawWebSocket

TRUSTED = "127.0.0.0/8"
VERSION_1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "relay.gateway")


async def address_of(port: int, preamble: bytes, *headers: str, caplog: pytest.LogCaptureFixture) -> str:
    """Connect a WebSocket and return the address that the gateway says it has."""
    caplog.clear()
    async with RawWebSocket(port) as client:
        if preamble:
            await client.send(preamble)
        assert (await client.upgrade("/ws/a", *headers)).status == 101
        (line,) = [text for text in caplog.messages if text.startswith("connected ")]
        return line.rpartition("remote=")[2]


@pytest.mark.parametrize(
    ("preamble", "headers", "address"),
    [
        (b"", [], "127.0.0.1"),
        (b"", ["X-Forwarded-For: 6.6.6.6, 192.0.2.1", "x-forwarded-for: 127.0.0.9"], "192.0.2.1"),
        (b"", ['Forwarded: for="[2001:db8::1]:99"'], "2001:db8::1"),
        (VERSION_1, [], "192.0.2.7"),
        (proxy_header("192.0.2.8"), [], "192.0.2.8"),
        (proxy_header("2001:db8::8", "::1"), [], "2001:db8::8"),
        (LOCAL, [], "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", ["X-Forwarded-For: 192.0.2.1"], "192.0.2.1"),
        # Two proxies in a row: the first is known by the second's PROXY header.
        (proxy_header("127.0.0.5"), ["X-Forwarded-For: 192.0.2.1"], "192.0.2.1"),
        # Whom the PROXY header names is not trusted: what it says about others isn't either.
        (proxy_header("192.0.2.8"), ["X-Forwarded-For: 6.6.6.6"], "192.0.2.8"),
    ],
)
async def test_a_trusted_proxy_is_believed(
    embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture, preamble: bytes, headers: list[str], address: str
) -> None:
    (gateway,) = await embedded(1, trusted_proxies=TRUSTED)
    assert await address_of(gateway.port, preamble, *headers, caplog=caplog) == address


async def test_a_stranger_is_not(embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture) -> None:
    (gateway,) = await embedded(1, trusted_proxies="10.0.0.0/8")
    headers = ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1"]
    assert await address_of(gateway.port, b"", *headers, caplog=caplog) == "127.0.0.1"


@pytest.mark.parametrize("header", [VERSION_1, LOCAL, proxy_header("192.0.2.8")])
@pytest.mark.parametrize("trusted", [None, "10.0.0.0/8"])
async def test_a_proxy_header_of_a_stranger_is_refused(
    embedded: EmbeddedFactory, header: bytes, trusted: str | None
) -> None:
    (gateway,) = await embedded(1, trusted_proxies=trusted)
    answer = await send_request(gateway.port, header + HEALTH)
    assert (answer.status, answer.text) == (
        400,
        "a PROXY header is taken from addresses in RELAY_TRUSTED_PROXIES only\n",
    )
    assert gateway.counters.connections_refused["bad_request"] == 1


async def test_a_malformed_proxy_header_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, trusted_proxies=TRUSTED)
    for header in (b"PROXY TCP9 a b c d\r\n", b"PROXY " + b"x" * 200, LOCAL[:12] + b"\x21\x11\xff\xff"):
        answer = await send_request(gateway.port, header)
        assert (answer.status, answer.text) == (400, "the PROXY header is malformed\n")


@pytest.mark.parametrize("header", [VERSION_1, proxy_header("192.0.2.7")])
async def test_byte_by_byte(embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture, header: bytes) -> None:
    (gateway,) = await embedded(1, trusted_proxies=TRUSTED)
    async with RawWebSocket(gateway.port) as client, RawWebSocket(gateway.port) as listener:
        for byte in header:
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.upgrade("/ws/a")).status == 101
        assert "remote=192.0.2.7" in caplog.text
        await listener.upgrade("/ws/a")
        await client.send_frame(TEXT, b"hello")
        assert (await listener.frame()).payload == b"hello"


async def test_an_unfinished_proxy_header_ends_in_time(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, trusted_proxies=TRUSTED, handshake_timeout=0.3)
    for beginning in (b"P", b"PROXY TCP4 192.0.2.7", LOCAL[:9], LOCAL[:14]):
        answer = await send_request(gateway.port, beginning)
        assert answer.status == 408
    parts = parts_of(gateway)
    await wait_until(lambda: not parts.front_door.http.connections)


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_plain_http_works_behind_a_proxy_header(gateways: GatewayFactory, event_loop: str) -> None:
    """A balancer's health check, and requests that it passes on."""
    (gateway,) = await gateways(1, trusted_proxies=TRUSTED, event_loop=event_loop)
    for header in (b"", LOCAL, VERSION_1, b"PROXY UNKNOWN\r\n"):
        assert (await send_request(gateway.port, header + HEALTH)).json == {"status": "alive"}


async def test_handlers_of_plain_http_see_the_client(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def who(request: web.Request) -> web.Response:
        body = await request.text()
        return web.Response(text=f"{request.remote} {request.match_info['name']} {body}")

    def with_route(**arguments: object) -> web.Application:
        app = web.Application()
        app[REFUSED_NAMES] = RefusedNames()
        app.router.add_route("*", "/who/{name}", who)
        return app

    monkeypatch.setattr("relay.gateway.parts.build_app", with_route)
    trusting, other = [(await embedded(1, trusted_proxies=given))[0] for given in (TRUSTED, None)]
    request = b"POST /who/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n%s\r\nhi"
    chain = b"X-Forwarded-For: 192.0.2.1\r\n"
    assert (await send_request(trusting.port, request % b"")).text == "127.0.0.1 x hi"
    assert (await send_request(trusting.port, request % chain)).text == "192.0.2.1 x hi"
    assert (await send_request(trusting.port, VERSION_1 + request % chain)).text == "192.0.2.7 x hi"
    assert (await send_request(trusting.port, proxy_header("127.0.0.2") + request % chain)).text == "192.0.2.1 x hi"
    assert (await send_request(other.port, request % chain)).text == "127.0.0.1 x hi"
    assert (await get(other.port, "/who/y")).text == "127.0.0.1 y "


UPGRADE = (
    b"GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (UPGRADE, b"HTTP/1.1 101 "),
        (b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n" + UPGRADE, b"HTTP/1.1 101 "),
        (UPGRADE.replace(b"Connection: Upgrade", b"Connection: x, upgrade"), b"HTTP/1.1 101 "),
        (UPGRADE.replace(b"Version: 13", b"Version: 8"), b"HTTP/1.1 426 "),
        (UPGRADE.replace(b"/ws/a", b"/ws/%"), b"HTTP/1.1 400 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 200 "),
    ],
)
async def test_what_has_come_before_the_client_is_accepted_is_not_lost(
    embedded: EmbeddedFactory, sent: bytes, answer: bytes
) -> None:
    """The usual request is taken off the socket before there is a transport, and everything else left in it."""
    (gateway,) = await embedded(1, trusted_proxies=("127.0.0.1",))
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(sent)  # this thread is the gateway's, which accepts later
        client.setblocking(False)
        got = await asyncio.get_running_loop().sock_recv(client, 65536)
    assert got.startswith(answer)


async def test_a_client_that_comes_in_a_crowd_is_refused_as_always(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    parts.front_door.max_sockets = 8
    parts.context.registry.sockets += 7
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(UPGRADE)
        client.setblocking(False)
        got = await asyncio.get_running_loop().sock_recv(client, 65536)
    parts.context.registry.sockets -= 7
    assert got.startswith(b"HTTP/1.1 503 ")
    assert gateway.counters.connections_refused == {"full": 1}

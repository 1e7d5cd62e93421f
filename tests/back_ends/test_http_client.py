"""The client of servers that a gateway asks, with servers that misbehave."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from relay.back_ends.http_client import CallFailed, Failure, HttpClient, warn_of_plain_http
from tests.back_ends.http_server import Handler, HttpServer, answering, drip, hang
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port

MOST = 1000
BODY = b'{"token": "s3cret"}'
HEADERS = {"Authorization": "Bearer s3cret"}


@asynccontextmanager
async def client_of(url: str, patience: float = 60.0, connections: int = 4) -> AsyncIterator[HttpClient]:
    client = HttpClient(url, timeout=patience, max_bytes=MOST, connections=connections)
    await client.open()
    try:
        yield client
    finally:
        await client.close()


async def failure_of(url: str, patience: float = 60.0) -> CallFailed:
    """Return how a POST to a server fails."""
    async with client_of(url, patience) as client:
        with pytest.raises(CallFailed) as caught:
            await client.post(BODY, HEADERS, (200,))
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value)
    return caught.value


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[str]:
    """Run a server that sends these bytes to whoever has sent a head, and closes; yield its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_the_answer_comes_with_its_status() -> None:
    async with HttpServer(answering(403, {"reason": "no"})) as server, client_of(server.url) as client:
        reply = await client.post(BODY, HEADERS, (200, 403))
        assert (reply.status, reply.body) == (403, b'{"reason": "no"}')
        assert server.bodies == [BODY]
        sent = server.headers[0]
        assert sent["authorization"] == "Bearer s3cret"
        assert sent["content-type"] == "application/json"
        assert sent["user-agent"].startswith("relay/")


@pytest.mark.parametrize(
    ("handler", "failure", "words"),
    [
        (answering(500, {}), Failure.STATUS, "HTTP status 500"),
        (answering(404, {}), Failure.STATUS, "HTTP status 404"),
        (answering(204, text=""), Failure.STATUS, "HTTP status 204"),
        (answering(302, {}, Location="/elsewhere"), Failure.REDIRECT, "HTTP status 302"),
        (answering(500, text="x" * 10_000_000), Failure.STATUS, "HTTP status 500"),
        (answering(200, text="x" * (MOST + 1)), Failure.TOO_LARGE, "more than 1000 bytes"),
        (answering(200, text="x" * 10_000_000), Failure.TOO_LARGE, "more than 1000 bytes"),
        (answering(200, text="{}", Content_Encoding="gzip"), Failure.MALFORMED, "compressed"),
        (drip, Failure.TOO_LARGE, "more than 1000 bytes"),
    ],
    ids=["500", "404", "204", "redirect", "a large error", "too large", "10 MB", "compressed", "drip"],
)
async def test_answers_of_no_use(handler: Handler, failure: Failure, words: str) -> None:
    async with HttpServer(handler) as server:
        error = await failure_of(server.url)
        assert (error.failure, words in error.detail) == (failure, True)
        assert server.requests == 1, "no redirect was followed"


@pytest.mark.parametrize("handler", [hang, drip])
async def test_an_answer_that_takes_too_long(handler: Handler) -> None:
    async with HttpServer(handler) as server:
        error = await failure_of(server.url, patience=0.1)
        assert (error.failure, error.detail) == (Failure.TIMEOUT, "no answer within 0.1 s")
        await wait_until(lambda: server.at_once == 0, what="the connection is closed")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", Failure.UNREACHABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", Failure.UNREACHABLE),
        (b"s3cret\r\n\r\n", Failure.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nX: " + b"s3cret" * 20_000 + b"\r\n\r\n", Failure.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ns3cret\r\n", Failure.MALFORMED),
    ],
    ids=["nothing", "half", "no HTTP", "a large header", "a wrong chunk"],
)
async def test_servers_that_speak_no_http(answer: bytes, failure: Failure) -> None:
    async with raw_server(answer) as url:
        assert (await failure_of(url)).failure is failure


async def test_a_server_that_is_not_there() -> None:
    error = await failure_of(f"http://127.0.0.1:{free_port()}/")
    assert (error.failure, error.detail) == (Failure.UNREACHABLE, "Connection refused")


async def test_a_certificate_of_an_unknown_authority(certificate_authority: CertificateAuthority) -> None:
    """TLS is verified as usual; so nobody between them can answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        error = await failure_of(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert error.failure is Failure.UNREACHABLE
    assert "certificate isn't trusted" in error.detail


async def test_connections_are_kept_and_bounded() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.01)  # what makes it slow: more requests come than it answers
        peers.add(request.transport.get_extra_info("peername"))  # type: ignore[union-attr]
        return web.json_response({})

    peers: set[object] = set()
    async with HttpServer(slow) as server, client_of(server.url, connections=3) as client:
        await asyncio.gather(*(client.post(BODY, HEADERS, (200,)) for _ in range(12)))
        assert server.requests == 12
        assert len(peers) == server.most_at_once == 3


async def test_a_kept_connection_that_was_closed_is_opened_again() -> None:
    async with HttpServer(answering(200, {})) as server, client_of(server.url) as client:
        await client.post(BODY, HEADERS, (200,))
        await server.stop()
        await server.start()
        assert (await client.post(BODY, HEADERS, (200,))).status == 200


async def test_a_connection_that_is_closed_under_a_request_is_tried_once_more() -> None:
    async def close(request: web.Request) -> web.StreamResponse:
        server.handler = answering(200, {})
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with HttpServer(close) as server, client_of(server.url) as client:
        assert (await client.post(BODY, HEADERS, (200,))).status == 200
        assert server.requests == 2


async def test_what_must_not_be_done_twice_is_sent_once() -> None:
    async def close(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with HttpServer(close) as server:
        client = HttpClient(server.url, timeout=60, max_bytes=MOST, connections=1, idempotent=False)
        await client.open()
        with pytest.raises(CallFailed) as caught:
            await client.post(BODY, HEADERS, (200,))
        await client.close()
        assert (caught.value.failure, server.requests) == (Failure.UNREACHABLE, 1)


async def test_cookies_of_the_server_are_not_sent_for_the_next_client() -> None:
    async with HttpServer(answering(200, {}, Set_Cookie="session=of-ann")) as server, client_of(server.url) as client:
        for _ in range(2):
            await client.post(BODY, HEADERS, (200,))
        assert [headers.get("cookie") for headers in server.headers] == [None, None]


async def test_proxies_and_passwords_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    async with HttpServer(answering(200, {})) as server, client_of(server.url) as client:
        assert (await client.get((200,))).status == 200


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("https://login.example/keys", False),
        ("http://127.0.0.1:9000/auth", False),
        ("http://[::1]/auth", False),
        ("http://localhost/auth", False),
        ("http://back-end:9000/auth?key=s3cret", True),
        ("http://10.0.0.1/auth", True),
    ],
)
def test_a_url_without_tls_is_warned_of(url: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_plain_http("RELAY_AUTH_URL", url)
    assert bool(caplog.records) == warned
    assert "s3cret" not in caplog.text

"""Answers of any framing are read whole, piece by piece; broken ones are told apart."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.loadtest.generator import http_connection as module
from relay.loadtest.generator.dialer import Dialer
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.http_connection import HttpConnection
from relay.loadtest.plan.plan import Trust
from relay.loadtest.plan.server_address import resolve
from tests.harness.certificate_authority import CertificateAuthority

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"


class Answering:
    """A server that answers each request with what it is given, and closes where that is all.

    Attributes:
        port: TCP port, on 127.0.0.1.
        requests: heads and bodies that came.
    """

    def __init__(self, *answers: bytes, pause: bool = False) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self._answers = list(answers)
        self._pause = pause

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        for answer in self._answers:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            self.requests.append(head + await reader.readexactly(size))
            for byte in [answer[n : n + 1] for n in range(len(answer))] if self._pause else [answer]:
                writer.write(byte)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()


@asynccontextmanager
async def connected(
    *answers: bytes, pause: bool = False, path: str = ""
) -> AsyncIterator[tuple[Answering, HttpConnection]]:
    """Connect to a server with these answers."""
    answering = Answering(*answers, pause=pause)
    server = await asyncio.start_server(answering.serve, "127.0.0.1", 0)
    answering.port = server.sockets[0].getsockname()[1]
    address = resolve(f"ws://127.0.0.1:{answering.port}")
    connection = await HttpConnection.open(Dialer(Trust()), address, None, path, lambda size: None)
    try:
        yield answering, connection
    finally:
        connection.reset()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "body", "reusable"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
        (OK + b"content-length: 0\r\n\r\n", b"", True),
        (OK + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello", b"hello", False),
        (CHUNKS, b"abc0123456789abcdef", True),
        (OK + b"\r\nto the end", b"to the end", False),
    ],
    ids=["length", "empty", "closes", "chunks", "to the end"],
)
@pytest.mark.parametrize("pause", [False, True])
async def test_a_body_is_whole_whatever_its_framing(answer: bytes, body: bytes, reusable: bool, pause: bool) -> None:
    async with connected(answer, pause=pause) as (_, connection):
        head = await connection.ask("GET", "/x", ())
        assert (head.status, await connection.whole(), connection.reusable) == (200, body, reusable)


async def test_requests_follow_each_other() -> None:
    answers = (CHUNKS, OK + b"Content-Length: 2\r\n\r\nno")
    async with connected(*answers, path="/under") as (server, connection):
        await connection.ask("GET", "/poll/a?wait=0", [("Accept", "text/plain")])
        assert await connection.whole() == b"abc0123456789abcdef"
        await connection.ask("POST", "/publish/a", (), b"body")
        assert await connection.whole() == b"no"
    first, second = server.requests
    host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
    assert first == b"GET /under/poll/a?wait=0 HTTP/1.1\r\n" + host + b"Accept: text/plain\r\n\r\n"
    assert second == b"POST /under/publish/a HTTP/1.1\r\n" + host + b"Content-Length: 4\r\n\r\nbody"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "closed unanswered"),
        (b"HTTP/1.1 200", "closed in the middle"),
        (OK + b"Content-Length: 5\r\n\r\nhell", "closed in the middle"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhell", "closed in the middle"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "closed in the middle"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "no length"),
        (OK + b"Content-Length: -5\r\n\r\n", "no length"),
        (b"SSH-2.0-x\r\n\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 OK\r\n\r\n", "not an HTTP answer"),
        (OK + b"X: " + b"x" * 100_000, "endless head"),
        (OK + b"\r\n" + b"x" * 5000, "endless answer"),
    ],
)
async def test_what_is_broken_is_told(answer: bytes, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 1000)
    async with connected(answer) as (_, connection):
        with pytest.raises(RemoteProtocolError, match=words):
            await exchange(connection)


async def exchange(connection: HttpConnection) -> bytes:
    """Ask, and return the body of the answer."""
    await connection.ask("GET", "/", ())
    return await connection.whole()


async def test_a_connection_that_was_reset_gives_nothing() -> None:
    async with connected(OK + b"Content-Length: 5\r\n\r\nhell") as (_, connection):
        await connection.ask("GET", "/", ())
        connection.reset()
        connection.reset()
        with pytest.raises((RemoteProtocolError, ConnectionError)):
            await connection.whole()


async def test_tls_is_spoken_with_whom_is_trusted(certificate_authority: CertificateAuthority) -> None:
    answering = Answering(OK + b"Content-Length: 5\r\n\r\nhello")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    server = await asyncio.start_server(answering.serve, "127.0.0.1", 0, ssl=context)
    address = resolve(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    dialer = Dialer(Trust(ca_file=str(certificate_authority.ca_file), any_name=True))
    connection = await HttpConnection.open(dialer, address, None, "", lambda size: None)
    await connection.ask("GET", "/", ())
    assert await connection.whole() == b"hello"
    connection.reset()
    server.close()
    await server.wait_closed()

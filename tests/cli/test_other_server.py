"""Another server at an address that was taken for a gateway's: every command names it at once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from relay.cli.other_server import identify
from tests.cli.command import invoke_aside
from tests.conftest import EmbeddedFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
Serve = Callable[..., Coroutine[Any, Any, int]]


async def ssh(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak first, as SSH does."""
    writer.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")


async def mail(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak first, as a mail server does, with something for the terminal."""
    writer.write(b"220 mail.example \x1b[31mESMTP\r\n")


async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with a page."""
    await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""
    await reader.readline()


@pytest_asyncio.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that handles each connection as it is told: `port = await serve(speak, ssl=...)`."""
    async with AsyncExitStack() as stack:

        async def start(speak: Speak, **options: Any) -> int:
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await speak(reader, writer)
                    await writer.drain()
                except (ConnectionError, asyncio.IncompleteReadError, ValueError):
                    pass
                finally:
                    writer.close()

            server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            return int(server.sockets[0].getsockname()[1])

        yield start


@pytest.mark.parametrize(
    ("speak", "expected"),
    [
        (ssh, "is an SSH server, not a relay"),
        (mail, r"is not a relay: it says '220 mail.example \\x1b[31mESMTP'"),
        (web_server, None),
        (silence, None),
    ],
)
async def test_a_server_is_known_by_what_it_says(serve: Serve, speak: Speak, expected: str | None) -> None:
    """An HTTP server may be a gateway behind a proxy, and has given its status already."""
    assert await identify("127.0.0.1", await serve(speak), tls=False, answer_seconds=0.5) == expected


async def test_a_redis_is_known(redis_server: RedisServer) -> None:
    assert await identify("127.0.0.1", redis_server.port, tls=False) == (
        "is a Redis, not a relay: a gateway's address is wanted"
    )


async def test_tls_is_reported_where_it_is_and_where_it_is_not(
    serve: Serve, certificate_authority: CertificateAuthority
) -> None:
    """And nothing is said where it is as expected."""
    encrypting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encrypting.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    plain = await serve(web_server)
    encrypted = await serve(web_server, ssl=encrypting)
    assert await identify("127.0.0.1", plain, tls=True) == "speaks no TLS: write ws:// or http://"
    assert await identify("127.0.0.1", encrypted, tls=False) == "speaks TLS: write wss:// or https://"
    assert await identify("127.0.0.1", encrypted, tls=True) is None


async def test_a_port_without_listener_says_nothing() -> None:
    assert await identify("127.0.0.1", free_port(), tls=False) is None


@pytest.mark.parametrize(
    "command",
    [
        ("publish", "lobby", "hi", "--gateway"),
        ("publish", "lobby", "hi", "--idempotency-key", "k", "--gateway"),
        ("subscribe", "lobby", "--gateway"),
        ("health", "--url"),
    ],
)
async def test_every_command_names_what_is_there_and_ends(
    serve: Serve,
    redis_server: RedisServer,
    embedded: EmbeddedFactory,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With exit code 1, instead of trying for ever."""
    monkeypatch.setattr("relay.sdk.backoff.FIRST_SECONDS", 0.0)
    (gateway,) = await embedded(1)
    places = {
        f"ws://127.0.0.1:{await serve(ssh)}": "is an SSH server",
        f"ws://127.0.0.1:{redis_server.port}": "is a Redis",
        f"wss://127.0.0.1:{gateway.port}": "speaks no TLS",
    }
    for place, expected in places.items():
        outcome = await invoke_aside(*command, place)
        assert outcome.code == 1
        assert expected in outcome.errors
        assert outcome.errors.count("\n") == 1


async def test_a_web_server_is_not_waited_for(serve: Serve) -> None:
    """It answers a handshake with a page."""
    place = f"ws://127.0.0.1:{await serve(web_server)}"
    outcome = await invoke_aside("subscribe", "lobby", "--gateway", place)
    assert (outcome.code, outcome.errors) == (
        1,
        f"relay: {place} answered HTTP 200: there is no relay at this address\n",
    )

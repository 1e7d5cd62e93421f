"""Connections are made as asked, and say in a few words why they could not be."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import cast

import pytest

from relay.loadtest.generator.connector import Connector, cause
from relay.loadtest.generator.delivery_checker import Receiver
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.virtual_client import VirtualClient
from relay.loadtest.plan.plan import Dialect, Trust
from relay.loadtest.plan.server_address import resolve
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.faulty_server import RefusingServer
from tests.harness.free_port import free_port
from tests.harness.server_session import ServerSession
from tests.loadtest.generator.client_fixture import ClientFixture, RecordingContext


def make_client(*, ready: str | None = None) -> VirtualClient:
    """Return a client that only listens."""
    return VirtualClient(RecordingContext(Dialect(ready=ready)), Receiver(0, "", "room", []), [], [], ready is not None)


def context(client: VirtualClient) -> RecordingContext:
    """Return what a client has told."""
    return cast(RecordingContext, client._context)


async def connect(
    client: VirtualClient, url: str, *, source: str | None = None, within: float = PATIENCE_SECONDS
) -> int:
    """Begin a session, and return how long that took."""
    return await Connector((("X-Token", "secret"),), within, Trust()).connect(client, url, resolve(url), source)


async def refusal(
    url: str, *, source: str | None = None, within: float = PATIENCE_SECONDS, ready: str | None = None
) -> str:
    """Return why a connection could not be made."""
    client = make_client(ready=ready)
    with pytest.raises((OSError, RemoteProtocolError)) as caught:
        await connect(client, url, source=source, within=within)
    assert (client.transport, client.subscribed, context(client).arrivals) == (None, None, 0)
    return cause(caught.value)


async def test_a_session_begins_at_the_address_with_the_headers() -> None:
    client = make_client()
    async with BroadcastServer() as server:
        taken = await connect(client, f"{server.url}/ws/lobby?a=b")
        (session,) = server.sessions
        assert session.request.target == "/ws/lobby?a=b"
        assert session.request.headers["x-token"] == "secret"
        assert session.request.headers["host"] == f"127.0.0.1:{server.port}"
        assert 0 < taken < 10**10
        assert context(client).arrivals == 1
        client.reset()


async def test_an_address_without_a_path_asks_for_the_root() -> None:
    client = make_client()
    async with BroadcastServer() as server:
        await connect(client, server.url)
        assert server.sessions[0].request.target == "/"
        client.reset()


async def test_after_a_cut_the_next_session_begins_at_once_and_hears_nothing_of_the_last() -> None:
    client = make_client()
    async with BroadcastServer() as server:
        await connect(client, f"{server.url}/ws/lobby")
        (old,) = server.sessions
        client.reset()
        old.send(b"of the past")
        await connect(client, f"{server.url}/ws/lobby")
        await wait_until(lambda: old in server.past)
        server.sessions[0].send(b"of now")
        await wait_until(lambda: context(client).checker.faults.unexpected)
        assert [incident.text for incident in context(client).checker.faults.incidents] == ["of now"]
        assert context(client).ends == [""]
        client.reset()


async def test_a_cut_leaves_no_port_waiting() -> None:
    client = make_client()
    async with BroadcastServer() as server:
        # From an address of its own: on 127.0.0.1 anybody may take the port as soon as it is free.
        await connect(client, f"{server.url}/ws/lobby", source="127.1.2.3")
        transport = client.transport
        assert transport is not None
        local = transport.get_extra_info("sockname")
        client.reset()
        await wait_until(lambda: not server.sessions)
        # A port in TIME_WAIT can't be bound again without SO_REUSEADDR.
        with socket.socket() as probe:
            probe.bind(local)


async def test_nobody_there_is_connection_refused() -> None:
    assert await refusal(f"ws://127.0.0.1:{free_port()}") == "connection refused"


ANSWERS: dict[str, tuple[bytes | None, str]] = {
    "busy": (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP 503"),
    "other": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP answer"),
    "end": (b"", "closed in the handshake"),
    "silent": (None, "timeout"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_refusal_says_what_was_answered(name: str) -> None:
    answer, reason = ANSWERS[name]
    async with RefusingServer({"1": answer}) as server:
        assert (
            await refusal(f"{server.url}/ws/lobby?client=1", within=0.3 if answer is None else PATIENCE_SECONDS)
            == reason
        )
        await wait_until(lambda: not server.sessions)


async def test_who_is_never_told_that_it_is_subscribed_gives_up() -> None:
    async with BroadcastServer() as server:
        assert await refusal(f"{server.url}/ws/lobby", within=0.2, ready="^welcome$") == "timeout"
        await wait_until(lambda: not server.sessions)


async def test_the_local_address_is_the_one_asked_for() -> None:
    client = make_client()
    async with BroadcastServer() as server:
        await connect(client, f"{server.url}/ws/lobby", source="127.0.0.2")
        assert client.transport is not None
        assert client.transport.get_extra_info("sockname")[0] == "127.0.0.2"
        client.reset()


async def test_a_local_address_that_is_not_there_is_told() -> None:
    async with BroadcastServer() as server:
        assert await refusal(server.url, source="192.0.2.1") == "no local port left"


async def serve_tls(server: BroadcastServer, authority: CertificateAuthority) -> asyncio.Server:
    """Let a server listen on another port, encrypted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate_file, authority.key_file)
    return await asyncio.get_running_loop().create_server(lambda: ServerSession(server), "127.0.0.1", 0, ssl=context)


async def test_a_certificate_of_an_authority_that_is_trusted_is_taken(
    certificate_authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate_authority.ca_file))
    client = make_client()
    async with BroadcastServer() as server, await serve_tls(server, certificate_authority) as listener:
        connector = Connector((), 10.0, Trust())
        address = resolve(f"wss://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        for _ in range(2):
            await connector.connect(client, "wss://h/ws/lobby", address, None)
            assert context(client).arrivals
            client.reset()
            await wait_until(lambda: not server.sessions)


async def test_a_publisher_over_tls_goes_on_when_its_message_is_sent(
    certificate_authority: CertificateAuthority,
) -> None:
    """Not with its next message."""
    client = ClientFixture(publishes=True).client
    async with BroadcastServer() as server, await serve_tls(server, certificate_authority) as listener:
        connector = Connector((), PATIENCE_SECONDS, Trust(ca_file=str(certificate_authority.ca_file)))
        address = resolve(f"wss://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        await connector.connect(client, "wss://h/ws/lobby", address, None)
        publisher = client.publisher
        assert publisher is not None
        for number in range(5):
            publisher.backlog.append(number)
            publisher.send_due()
            await wait_until(lambda: publisher.transport is not None)
        assert len(publisher.sent_at) == 5
        client.reset()


async def test_a_certificate_of_nobody_known_is_told(certificate_authority: CertificateAuthority) -> None:
    async with BroadcastServer() as server, await serve_tls(server, certificate_authority) as listener:
        url = f"wss://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        assert (await refusal(url)).startswith("certificate: ")
        await wait_until(lambda: not server.sessions)


async def test_a_server_without_tls_is_told() -> None:
    async def answer(decoder: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await decoder.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await refusal(url) == "TLS: WRONG_VERSION_NUMBER"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "reset"),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files"),
        (OSError(errno.ENOTDIR, "whatever"), "Not a directory"),
        (RemoteProtocolError("HTTP 404"), "HTTP 404"),
        (ConnectionResetError(), "ConnectionResetError"),
        (ValueError("whatever"), "ValueError"),
    ],
)
def test_a_cause_is_a_few_words_that_can_be_counted(error: Exception, words: str) -> None:
    assert cause(error) == words

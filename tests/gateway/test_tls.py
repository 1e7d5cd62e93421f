"""TLS on the port of the clients: what is spoken inside, and what is said to those who don't speak it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

import pytest

from tests.gateway.secure import SecureFactory
from tests.gateway.secure import secure as secure
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.http_response import get, parse_head, read_response, send_request
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient
from tests.harness.proxy_headers import proxy_header
from tests.harness.raw_websocket import TEXT, RawWebSocket, encode_frame
from tests.harness.tls13_client import DATA, Tls13Client
from tests.harness.tls_socket import TRUSTED, TlsSocket
from tests.harness.websocket_client import WebSocketClient, connected

UPGRADE = (
    b"GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def plain(port: int, request: bytes) -> tuple[int, dict[str, str], str]:
    """Send a request without TLS; return status, headers and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await read_response(reader)
    writer.close()
    return answer.status, answer.headers, answer.text


async def test_all_clients_come_over_one_port(secure: SecureFactory) -> None:
    gateway = await secure()
    assert gateway.url == f"wss://127.0.0.1:{gateway.port}"
    poller = PollClient(gateway.port, "a")
    await poller.poll(0)
    async with connected(f"{gateway.url}/ws/a") as (client,), EventStreamClient(gateway.port, "/sse/a") as stream:
        head = b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
        answer = await send_request(gateway.port, head + b"hello")
        assert answer.status == 200
        assert await client.receive(1) == await stream.receive(1) == await poller.poll() == ["hello"]
    assert gateway.counters.tls_handshakes.count >= 4


async def test_a_message_is_a_record(secure: SecureFactory) -> None:
    """And so are all messages of a tick, as long as they fit into one."""
    gateway = await secure()
    async with Tls13Client(gateway.port) as client:
        await client.send(client.seal(DATA, UPGRADE))
        assert (await client.data(12)).startswith(b"HTTP/1.1 101")
        await gateway.publish("a", "one")
        assert await client.receive() == (DATA, b"\x81\x03one")
        await asyncio.gather(*(gateway.publish("a", str(number)) for number in range(9)))
        assert await client.receive() == (DATA, b"".join(b"\x81\x01%d" % number for number in range(9)))
        await gateway.publish("a", "x" * 40_000)
        sizes = [len((await client.receive())[1]) for _ in range(3)]
        assert sizes == [16384, 16384, 40_000 + 4 - 2 * 16384]


async def test_messages_of_any_size_come_in_and_go_out(secure: SecureFactory) -> None:
    gateway = await secure(max_message_bytes=3_000_000, send_buffer_bytes=8_000_000)
    async with connected(*[f"{gateway.url}/ws/a"] * 2) as (sender, receiver):
        sent = [bytes([size % 256]) * size for size in (0, 1, 125, 126, 16_362, 16_384, 65_536, 3_000_000)]
        for message in sent:
            await sender.send(message)
        assert await receiver.receive(len(sent)) == sent


async def test_a_request_and_its_websocket_may_come_in_any_pieces(secure: SecureFactory) -> None:
    """Of bytes, and of records."""
    gateway = await secure()
    async with RawWebSocket(gateway.port) as client:
        frames = b"".join(encode_frame(TEXT, str(number).encode()) for number in range(100))
        tls = client.tls
        assert tls is not None
        for byte in UPGRADE.replace(b"/ws/a ", b"/ws/a?echo=1 ") + frames:
            tls.encrypt(bytes([byte]))
        sealed = tls.take()
        for at in range(0, len(sealed), 997):
            await client.send_raw(sealed[at : at + 997])
        assert (await client.response()).status == 101
        assert [(await client.frame()).payload for _ in range(100)] == [b"%d" % number for number in range(100)]


@pytest.mark.parametrize("target", ["/", "/readyz?x=%20y", "/ws/a"])
async def test_a_plain_get_is_sent_to_https(secure: SecureFactory, target: str) -> None:
    gateway = await secure()
    for method in ("GET", "HEAD"):
        request = f"{method} {target} HTTP/1.1\r\nHost: relay.example:{gateway.port}\r\n\r\n"
        status, headers, text = await plain(gateway.port, request.encode())
        assert (status, text) == (301, "this port speaks TLS: use https://\n")
        assert headers["location"] == f"https://relay.example:{gateway.port}{target}"
        assert headers["connection"] == "close"
    assert gateway.counters.connections_refused == {"plain_http": 2}


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (b"POST /publish/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "this port speaks TLS: use https://\n"),
        (b"GET / HTTP/1.0\r\n\r\n", "this port speaks TLS: use https://\n"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "this port speaks TLS: use https://\n"),
        (UPGRADE, "this port speaks TLS: use wss://\n"),
    ],
)
async def test_what_else_is_plain_is_refused(secure: SecureFactory, request_: bytes, sentence: str) -> None:
    """A redirect would be followed by few, and a body or a credential has been sent already."""
    gateway = await secure()
    status, headers, text = await plain(gateway.port, request_)
    assert (status, text) == (400, sentence)
    assert "location" not in headers
    assert gateway.counters.connections_refused == {"plain_http": 1}


async def test_a_proxy_header_comes_before_tls(
    secure: SecureFactory, certificate_authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "relay.gateway")
    gateway = await secure(trusted_proxies="127.0.0.0/8")
    for preamble in (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n", proxy_header("192.0.2.7")):
        with socket.socket() as connection:
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, ("127.0.0.1", gateway.port))
            await loop.sock_sendall(connection, preamble)
            tls = TlsSocket(connection, certificate_authority.trust())
            await tls.handshake()
            caplog.clear()
            await tls.send(UPGRADE)
            assert parse_head((await tls.receive()).partition(b"\r\n\r\n")[0])[0] == 101
            assert "remote=192.0.2.7" in caplog.text
    # Within TLS there is none.
    answer = await send_request(gateway.port, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n" + UPGRADE)
    assert answer.status == 400


async def test_http_1_1_is_chosen_and_any_name_is_taken(
    secure: SecureFactory, certificate_authority: CertificateAuthority
) -> None:
    gateway = await secure()
    context = certificate_authority.trust()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.check_hostname = False
    for name in ("localhost", "relay.example", "127.0.0.1"):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context, server_hostname=name)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        writer.transport.abort()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_comes_back_resumes_its_session(
    secure: SecureFactory, certificate_authority: CertificateAuthority, version: ssl.TLSVersion
) -> None:
    """That saves both the signature. A new certificate ends all sessions."""
    gateway = await secure()
    context = certificate_authority.trust()
    context.maximum_version = version

    async def come(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
        with socket.socket() as connection:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", gateway.port))
            tls = TlsSocket(connection, context, session)
            await tls.handshake()
            await tls.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"alive" in await tls.receive()
            return tls.tls.session, bool(tls.tls.session_reused)

    session, resumed = await come(None)
    assert not resumed
    session, resumed = await come(session)
    assert resumed
    gateway.reload()
    assert not (await come(session))[1]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_closes_its_side_gets_its_answer(
    secure: SecureFactory, certificate_authority: CertificateAuthority, version: ssl.TLSVersion
) -> None:
    """With `close_notify`, as with a FIN in TCP."""
    gateway = await secure()
    context = certificate_authority.trust()
    context.maximum_version = version
    with socket.socket() as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", gateway.port))
        tls = TlsSocket(connection, context)
        await tls.handshake()
        await tls.send(b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi")
        await tls.finish()
        assert b"200 OK" in await tls.receive()
        assert await tls.receive() == b""


async def test_a_drain_says_goodbye_in_tls(secure: SecureFactory) -> None:
    gateway = await secure()
    async with connected(f"{gateway.url}/ws/a") as (client,):
        kept, writer = await asyncio.open_connection(
            "127.0.0.1", gateway.port, ssl=TRUSTED[gateway.port], server_hostname="localhost"
        )
        await wait_until(lambda: gateway.counters.tls_handshakes.count == 2)
        await gateway.drain()
        assert await client.ended() == (1001, "going away")
        assert (await read_response(kept)).status == 503
        writer.close()


async def test_readiness_and_numbers_are_told(secure: SecureFactory) -> None:
    gateway = await secure()
    assert (await get(gateway.port, "/readyz")).status == 200
    page = (await get(gateway.port, "/metrics")).text
    line = next(line for line in page.splitlines() if line.startswith("relay_tls_certificate_expiry"))
    name, _, value = line.partition(" ")
    assert name == 'relay_tls_certificate_expiry_timestamp_seconds{name="localhost"}'
    assert 0 < float(value) - time.time() < 86_400
    assert 'relay_tls_handshake_failures_total{reason="timeout"} 0.0' in page
    assert 'relay_tls_certificate_reloads_total{result="failed"} 0.0' in page


async def test_a_gateway_without_tls_has_no_certificate_to_expire(secure: SecureFactory) -> None:
    """An alert on it must not fire."""
    gateway = await secure(tls_cert=None, tls_key=None)
    del TRUSTED[gateway.port]
    gateway.reload()  # a no-op
    page = (await get(gateway.port, "/metrics")).text
    assert "\nrelay_tls_certificate_expiry_timestamp_seconds" not in page
    TRUSTED[gateway.port] = ssl.create_default_context()


async def test_nothing_is_left_of_clients_that_have_gone(secure: SecureFactory) -> None:
    gateway = await secure()
    clients = await asyncio.gather(*(WebSocketClient.connect(f"{gateway.url}/ws/a") for _ in range(20)))
    for number, client in enumerate(clients):
        await (client.abort() if number % 2 else client.close())
    front_door = parts_of(gateway).front_door
    await wait_until(lambda: front_door.sockets == 0)
    assert front_door.tls is not None
    assert not front_door.tls.incoming.pending
    assert not front_door.tls.outgoing.pending

"""TLS with real programs as clients, and certificates that change while messages flow."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.conftest import GatewayFactory
from tests.harness.certificate_authority import CertificateAuthority, Issued
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import GatewayProcess
from tests.harness.history import check_history
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
each_loop = pytest.mark.parametrize("event_loop", EVENT_LOOPS)


async def program(*command: object, stdin: bytes = b"") -> tuple[int, str]:
    """Run a program to its end; return its exit code and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


@pytest.fixture
def shown(certificate_authority: CertificateAuthority, tmp_path: Path) -> Issued:
    """A certificate that the test may replace."""
    issued = Issued(tmp_path / "cert.pem", tmp_path / "key.pem")
    issued.replace(certificate_authority.issue("first", "first"))
    return issued


async def served(port: int, authority: CertificateAuthority) -> str:
    """Return the name in the certificate that a new client is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=authority.trust(), server_hostname="localhost")
    subject = writer.get_extra_info("ssl_object").getpeercert()["subject"]
    writer.transport.abort()
    return str(subject[0][0][1])


@each_loop
async def test_curl(gateways: GatewayFactory, certificate_authority: CertificateAuthority, event_loop: str) -> None:
    """Which follows the redirect of a plain request as well."""
    (gateway,) = await gateways(1, certificate_authority, event_loop=event_loop)
    curl = ["curl", "--silent", "--show-error", "--cacert", certificate_authority.ca_file]
    place = f"localhost:{gateway.port}"
    for url in (f"https://{place}/readyz", f"http://{place}/readyz"):
        code, output = await program(*curl, "--location", url)
        assert (code, json.loads(output)["ready"]) == (0, True)
    code, output = await program(*curl, "--tls-max", "1.2", f"https://{place}/healthz")
    assert (code, json.loads(output)) == (0, {"status": "alive"})
    code, output = await program(*curl, "--data", "hello", f"https://{place}/publish/a")
    assert (code, json.loads(output)["channel"]) == (0, "a")
    code, output = await program("curl", "--silent", "--show-error", f"https://{place}/readyz")
    assert code == 60, output  # nobody knows that authority


@each_loop
@needs_openssl
async def test_openssl(gateways: GatewayFactory, certificate_authority: CertificateAuthority, event_loop: str) -> None:
    (gateway,) = await gateways(1, certificate_authority, event_loop=event_loop)
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-CAfile", certificate_authority.ca_file]
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for options in (
        ["-tls1_3"],
        ["-tls1_2"],
        ["-alpn", "h2,http/1.1"],
        ["-servername", "any.example"],
        ["-split_send_frag", 20],
    ):
        code, output = await program(*client, "-ign_eof", *options, stdin=request)
        assert code == 0, output
        assert "Verify return code: 0 (ok)" in output
        assert '{"status": "alive"}' in output
    for old in ("-tls1_1", "-tls1"):
        code, output = await program(*client, old, "-cipher", "ALL:@SECLEVEL=0", stdin=request)
        assert code == 1
        assert "alive" not in output


@each_loop
@needs_openssl
async def test_there_is_no_second_handshake_within_the_first(
    gateways: GatewayFactory, certificate_authority: CertificateAuthority, event_loop: str
) -> None:
    """It would cost the client nothing to ask for it, again and again."""
    (gateway,) = await gateways(1, certificate_authority, event_loop=event_loop)
    client = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-tls1_2"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    await client.stdout.readuntil(b"Extended master secret: yes\n---\n")
    client.stdin.write(b"R\n")
    said = await client.stdout.read()
    assert said.startswith(b"RENEGOTIATING")
    assert b"no renegotiation" in said
    client.stdin.close()
    await client.wait()


@each_loop
async def test_websockets(
    gateways: GatewayFactory, certificate_authority: CertificateAuthority, event_loop: str
) -> None:
    """The client follows no redirect from ws to https, and needs none."""
    (gateway,) = await gateways(1, certificate_authority, event_loop=event_loop)
    url = f"wss://localhost:{gateway.port}/ws/a?echo=1"
    async with connect(url, ssl=certificate_authority.trust(), proxy=None) as client:
        for message in ("text", b"bytes", "x" * 60_000):
            await client.send(message)
            assert await client.recv() == message
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(url, proxy=None)


@each_loop
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_certificate_is_exchanged_while_messages_flow(
    gateways: GatewayFactory,
    redis_server: RedisServer,
    prefix: str,
    certificate_authority: CertificateAuthority,
    shown: Issued,
    event_loop: str,
    workers: int,
) -> None:
    """By SIGHUP, and by itself; nobody is disconnected, and nothing is lost. All workers take part."""
    (gateway,) = await gateways(
        1,
        certificate_authority,
        event_loop=event_loop,
        workers=workers,
        broker_url=redis_server.url,
        broker_prefix=prefix,
        **shown.settings(),
    )
    url = f"wss://127.0.0.1:{gateway.port}/ws/a"
    reload: list[Callable[[], None]] = [lambda: gateway.signal(signal.SIGHUP), lambda: None]
    async with connected(*[url] * 10) as readers, NumberedPublisher(url, "p") as publisher:
        for number, ask in enumerate(reload, 2):
            shown.replace(certificate_authority.issue(f"number-{number}", f"number-{number}"))
            ask()
            done = number - 1
            await wait_until(lambda: _reloads(gateway)["certificate reloaded"] >= done * workers)  # noqa: B023
            names = {await served(gateway.port, certificate_authority) for _ in range(10)}
            assert names == {f"number-{number}"}
        shown.certificate_file.write_bytes(b"")
        gateway.signal(signal.SIGHUP)
        await wait_until(lambda: _reloads(gateway)["certificate not reloaded"] >= workers)
        assert await served(gateway.port, certificate_authority) == "number-3"
        await publisher.stop()
        (session,) = publisher.sessions
        sent = {session.name: len(session.sent_at)}
        for reader in readers:
            await reader.receive(len(session.sent_at))
            assert not check_history(reader.received, sent)
            assert reader.is_open


def _reloads(gateway: GatewayProcess) -> Counter[str]:
    """Return how often each event was logged."""
    return Counter(str(record["event"]) for record in gateway.records())


async def test_sighup_without_tls_ends_a_gateway_as_any_program() -> None:
    """It comes when the terminal is closed, too."""
    gateway = GatewayProcess()
    try:
        await gateway.listening()
        gateway.signal(signal.SIGHUP)
        await wait_until(lambda: not gateway.running)
        assert gateway.exit_code == -signal.SIGHUP
    finally:
        gateway.close()


@each_loop
async def test_idle_clients_take_little_memory(
    gateways: GatewayFactory, certificate_authority: CertificateAuthority, event_loop: str
) -> None:
    """asyncio's own TLS would take 280 KB, uvloop's 25: docs/architecture.md."""
    (gateway,) = await gateways(1, certificate_authority, event_loop=event_loop)
    url = f"wss://127.0.0.1:{gateway.port}/ws/a"
    warm = [await WebSocketClient.connect(url) for _ in range(50)]
    before = gateway.rss_bytes
    clients = [await WebSocketClient.connect(url) for _ in range(300)]
    assert (gateway.rss_bytes - before) / 300 < 24_000
    await asyncio.gather(*(client.abort() for client in warm + clients))

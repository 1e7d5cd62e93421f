"""Clients that have to show a certificate: who they are, and who doesn't get in."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from cryptography import x509

from relay import Gateway
from relay.auth.authenticator import Identity
from relay.protocols.request import ConnectRequest
from tests.gateway.admissions import WAYS
from tests.gateway.secure import SecureFactory
from tests.gateway.secure import secure as secure
from tests.harness.certificate_authority import DAY, CertificateAuthority, Issued
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import send_request
from tests.harness.inside import parts_of
from tests.harness.tls_socket import TRUSTED, TlsSocket


async def ask(port: int, request: bytes, trusting: ssl.SSLContext) -> bytes:
    """Send a request with a certificate; return all that comes until the connection ends or 101 is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
    writer.write(request)
    try:
        return await reader.readuntil(b"\r\n\r\n") + (await reader.read(100) if b"Upgrade" not in request else b"")
    finally:
        writer.transport.abort()


class Asked:
    """An authenticator that notes who has asked."""

    def __init__(self) -> None:
        self.users: list[str | None] = []

    def identify(self, request: ConnectRequest) -> Identity:
        """See `relay.auth.authenticator.Authenticator`."""
        self.users.append(request.certificate_user)
        return Identity(request.certificate_user)


@pytest.fixture
def ann(certificate_authority: CertificateAuthority) -> Issued:
    """The certificate of a client that is called ann."""
    return certificate_authority.issue("ann", "ann", (x509.DNSName("not-ann.example"),))


@pytest.mark.parametrize("way", WAYS)
async def test_the_certificate_names_the_user(
    secure: SecureFactory, certificate_authority: CertificateAuthority, ann: Issued, way: str
) -> None:
    """Whatever `?user=` says; in each way to come in."""
    gateway = await secure(
        tls_client_ca=str(certificate_authority.ca_file), allowed_hosts="*", allowed_origins="*", rights="a:{sub}=rw"
    )
    mine, others = (WAYS[way].replace(b"/a", b"/a:" + name) for name in (b"ann", b"bob"))
    mine, others = (request.replace(b" HTTP", b"?user=bob HTTP", 1) for request in (mine, others))
    if way == "poll":
        mine, others = (request.replace(b"?wait=0?", b"?wait=0&") for request in (mine, others))
    trusting = certificate_authority.trust(ann)
    assert (await ask(gateway.port, mine, trusting)).split()[1] in (b"101", b"200")
    assert (await ask(gateway.port, others, trusting)).split()[1] == b"403"


async def test_pages_of_other_sites_are_refused(
    secure: SecureFactory, certificate_authority: CertificateAuthority, ann: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser shows its user's certificate for any page, as it sends cookies."""
    caplog.set_level("INFO", "relay.gateway")
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file), allowed_hosts="*")
    trusting = certificate_authority.trust(ann)
    assert (await ask(gateway.port, WAYS["websocket"], trusting)).split()[1] == b"403"
    own = WAYS["websocket"].replace(b"https://page.example", b"https://localhost")
    assert (await ask(gateway.port, own, trusting)).split()[1] == b"101"
    assert "clients are identified by=certificates" in caplog.text
    assert "everybody" not in caplog.text


async def test_an_authenticator_gets_the_name(
    certificate_authority: CertificateAuthority, ann: Issued, secure: SecureFactory
) -> None:
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file), allowed_hosts="*", allowed_origins="*")
    asked = Asked()
    parts_of(gateway).front_door.admission.authentication._authenticator = asked
    for request in WAYS.values():
        await ask(gateway.port, request, certificate_authority.trust(ann))
    assert asked.users == ["ann"] * len(WAYS)


async def test_a_certificate_without_common_name_is_called_by_another_one(
    secure: SecureFactory, certificate_authority: CertificateAuthority
) -> None:
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file), rights="user:{sub}=r")
    names = (x509.UniformResourceIdentifier("spiffe://chat"), x509.DNSName("other"))
    device = certificate_authority.issue("device", None, names)
    request = b"GET /poll/user:spiffe:%2F%2Fchat?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert (await ask(gateway.port, request, certificate_authority.trust(device))).split()[1] == b"200"


@pytest.mark.parametrize("common_name", [None, "two\u200bnames"])
async def test_a_certificate_that_names_nobody_gets_a_sentence(
    secure: SecureFactory, certificate_authority: CertificateAuthority, common_name: str | None
) -> None:
    """It can't be anonymous, and even less what it says."""
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file))
    nobody = certificate_authority.issue("nobody", common_name, ())
    answer = await ask(gateway.port, WAYS["poll"], certificate_authority.trust(nobody))
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"names no user" in answer
    assert gateway.counters.connections_refused == {"forbidden": 1}


async def refused(gateway: Gateway, trusting: ssl.SSLContext, reason: str) -> None:
    """Check that a client doesn't get in, and that the reason is counted."""
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask(gateway.port, WAYS["poll"], trusting)
    await wait_until(lambda: gateway.counters.tls_handshake_failures)
    assert gateway.counters.tls_handshake_failures == {reason: 1}
    assert not gateway.counters.connections_accepted


async def test_without_a_certificate_nobody_gets_in(
    secure: SecureFactory, certificate_authority: CertificateAuthority
) -> None:
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file))
    await refused(gateway, certificate_authority.trust(), "no_certificate")


async def test_nor_with_one_that_has_expired(
    secure: SecureFactory, certificate_authority: CertificateAuthority
) -> None:
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file))
    old = certificate_authority.issue("old", "ann", (), begins=-2 * DAY, ends=-DAY)
    await refused(gateway, certificate_authority.trust(old), "certificate")


async def test_nor_with_one_of_another_authority(
    secure: SecureFactory, certificate_authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file))
    other = CertificateAuthority(tmp_path_factory.mktemp("other")).issue("ann", "ann", ())
    await refused(gateway, certificate_authority.trust(other), "certificate")


async def test_a_session_that_is_resumed_keeps_its_user(
    secure: SecureFactory, certificate_authority: CertificateAuthority, ann: Issued
) -> None:
    gateway = await secure(tls_client_ca=str(certificate_authority.ca_file), rights="user:{sub}=r")
    trusting = certificate_authority.trust(ann)
    session: ssl.SSLSession | None = None
    for resumed in (False, True):
        with socket.socket() as connection:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", gateway.port))
            tls = TlsSocket(connection, trusting, session)
            await tls.handshake()
            await tls.send(b"GET /poll/user:ann?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await tls.receive()
            assert b" 200 OK" in answer
            assert tls.tls.session_reused is resumed
            session = tls.tls.session


async def test_the_metrics_port_asks_for_none(
    secure: SecureFactory, certificate_authority: CertificateAuthority
) -> None:
    """Probes and scrapers have no certificate; the port is for them, and for nobody else."""
    port = free_port()
    await secure(tls_client_ca=str(certificate_authority.ca_file), metrics_port=port)
    assert port not in TRUSTED
    assert (await send_request(port, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")).json["ready"]

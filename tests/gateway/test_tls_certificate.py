"""The exchange of a certificate while clients are connected."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relay import Gateway, Settings
from relay.gateway import tls_certificate
from relay.settings.problem import SettingsError
from tests.gateway.secure import SecureFactory
from tests.gateway.secure import secure as secure
from tests.harness.certificate_authority import DAY, CertificateAuthority, Issued
from tests.harness.conditions import stays_true, wait_until
from tests.harness.tls_socket import TlsSocket
from tests.harness.websocket_client import connected


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_certificate, "CHECK_SECONDS", 0.01)


@pytest.fixture
def shown(certificate_authority: CertificateAuthority, tmp_path: Path) -> Issued:
    """A certificate that the test may replace; it is called `first`."""
    issued = Issued(tmp_path / "cert.pem", tmp_path / "key.pem")
    issued.replace(certificate_authority.issue("first", "first"))
    return issued


async def name_at(port: int, authority: CertificateAuthority) -> str:
    """Return the common name in the certificate that new clients are shown."""
    with socket.socket() as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        tls = TlsSocket(connection, authority.trust())
        await tls.handshake()
        certificate = tls.tls.getpeercert()
        assert certificate is not None
        subject = certificate["subject"]
        return str(subject[0][0][1])


@asynccontextmanager
async def nothing_happens_to_clients(gateway: Gateway) -> AsyncIterator[None]:
    """Keep two clients that hear each other the whole time."""
    async with connected(*[f"{gateway.url}/ws/a"] * 2) as (one, two):
        yield
        await one.send("still here")
        assert await two.receive(1) == ["still here"]


async def test_a_new_one_is_found(
    secure: SecureFactory, shown: Issued, certificate_authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "relay.gateway")
    gateway = await secure(**shown.settings())
    async with nothing_happens_to_clients(gateway):
        assert await name_at(gateway.port, certificate_authority) == "first"
        shown.replace(certificate_authority.issue("second", "second"))
        await wait_until(lambda: gateway.counters.tls_certificate_reloads["reloaded"])
        assert await name_at(gateway.port, certificate_authority) == "second"
    assert "certificate reloaded" in caplog.text
    assert gateway.counters.tls_certificate_reloads == {"reloaded": 1}


async def test_links_that_lead_elsewhere_are_followed(
    secure: SecureFactory, certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    """As Kubernetes and certbot exchange certificates."""
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        Issued(folder / "tls.crt", folder / "tls.key").replace(certificate_authority.issue(name, name))
    now = tmp_path / "now"
    now.symlink_to("first")
    gateway = await secure(tls_cert=str(now / "tls.crt"), tls_key=str(now / "tls.key"))
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(now)
    await wait_until(lambda: gateway.counters.tls_certificate_reloads["reloaded"])
    assert await name_at(gateway.port, certificate_authority) == "second"


@pytest.mark.parametrize("way", ["other key", "expired", "empty", "away"])
async def test_one_that_can_not_be_used_changes_nothing(
    secure: SecureFactory,
    shown: Issued,
    certificate_authority: CertificateAuthority,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    gateway = await secure(**shown.settings())
    async with nothing_happens_to_clients(gateway):
        if way == "other key":
            shown.key_file.write_bytes(certificate_authority.issue("other").key_file.read_bytes())
        elif way == "expired":
            shown.replace(certificate_authority.issue("expired", "expired", begins=-2 * DAY, ends=-DAY))
        elif way == "empty":
            shown.certificate_file.write_bytes(b"")
        else:
            shown.key_file.unlink()
        await wait_until(lambda: gateway.counters.tls_certificate_reloads["failed"])
        assert await name_at(gateway.port, certificate_authority) == "first"
        # It is told once.
        assert await stays_true(lambda: gateway.counters.tls_certificate_reloads["failed"] == 1, 0.2)
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.getMessage().startswith("certificate not reloaded")
        assert "RELAY_TLS_" in record.getMessage()
        shown.replace(certificate_authority.issue("second", "second"))
        await wait_until(lambda: gateway.counters.tls_certificate_reloads["reloaded"])
        assert await name_at(gateway.port, certificate_authority) == "second"


async def test_the_key_may_come_after_the_certificate(
    shown: Issued, certificate_authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are not whole yet are no failure: they look the same twice before they are read."""
    looks = list[object]()
    look = tls_certificate._look_at

    def counted(paths: tuple[str, ...]) -> object:
        looks.append(None)
        if len(looks) == 3:
            shown.certificate_file.write_bytes(second.certificate_file.read_bytes())
        if len(looks) == 4:
            shown.key_file.write_bytes(second.key_file.read_bytes())
        return look(paths)

    second = certificate_authority.issue("second", "second")
    monkeypatch.setattr(tls_certificate, "_look_at", counted)
    async with Gateway(Settings(port=0, drain_seconds=0, **shown.settings())) as gateway:  # type: ignore[arg-type]
        await wait_until(lambda: gateway.counters.tls_certificate_reloads["reloaded"])
        assert gateway.counters.tls_certificate_reloads == {"reloaded": 1}
        assert await name_at(gateway.port, certificate_authority) == "second"


async def test_it_is_read_again_at_once_when_asked(
    secure: SecureFactory,
    shown: Issued,
    certificate_authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_certificate, "CHECK_SECONDS", 3600)
    gateway = await secure(**shown.settings())
    shown.replace(certificate_authority.issue("second", "second"))
    gateway.reload()
    assert await name_at(gateway.port, certificate_authority) == "second"
    # Also when nothing has changed.
    gateway.reload()
    assert gateway.counters.tls_certificate_reloads == {"reloaded": 2}


async def test_a_gateway_does_not_start_with_one_that_can_not_be_used(
    shown: Issued, certificate_authority: CertificateAuthority
) -> None:
    """And the port stays free."""
    shown.key_file.write_bytes(certificate_authority.issue("other").key_file.read_bytes())
    gateway = Gateway(Settings(port=0, **shown.settings()))  # type: ignore[arg-type]
    with pytest.raises(SettingsError) as caught:
        await gateway.start()
    assert str(caught.value) == (
        f"RELAY_TLS_KEY: got {str(shown.key_file)!r}; allowed: file: PEM: the key of RELAY_TLS_CERT, "
        "without a password (this one is not the key of the certificate)"
    )
    await gateway.stop()

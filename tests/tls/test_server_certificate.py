"""Certificates from files: which are taken, and what is said of the others."""

from __future__ import annotations

import datetime
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from relay.tls.server_certificate import CertificateError, CertificateFiles, load_certificate
from tests.auth.key_pairs import P256, RSA
from tests.harness.certificate_authority import DAY, CertificateAuthority, Issued


def files(issued: Issued, client_ca: Path | None = None) -> CertificateFiles:
    return CertificateFiles(
        str(issued.certificate_file), str(issued.key_file), None if client_ca is None else str(client_ca)
    )


def test_a_certificate_with_its_key(certificate_authority: CertificateAuthority) -> None:
    certificate = load_certificate(files(certificate_authority.server))
    assert certificate.name == "localhost"
    left = datetime.datetime.fromisoformat(certificate.expires) - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(hours=23) < left <= DAY
    assert certificate.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert certificate.context.options & ssl.OP_NO_RENEGOTIATION
    assert certificate.context.verify_mode is ssl.CERT_NONE


def test_both_in_one_file(certificate_authority: CertificateAuthority, tmp_path: Path) -> None:
    server = certificate_authority.server
    both = tmp_path / "both.pem"
    both.write_bytes(server.certificate_file.read_bytes() + server.key_file.read_bytes())
    assert load_certificate(CertificateFiles(str(both))).name == "localhost"
    with pytest.raises(CertificateError, match="holds no PEM private key") as caught:
        load_certificate(CertificateFiles(str(server.certificate_file)))
    assert caught.value.setting == "tls_cert"


@pytest.mark.parametrize(
    ("common_name", "names", "expected"),
    [
        ("relay", (), "relay"),
        ("relay", (x509.RFC822Name("a@b.example"), x509.DNSName("relay.example")), "relay.example"),
        (None, (x509.UniformResourceIdentifier("spiffe://relay"),), ""),
    ],
)
def test_the_name_of_a_certificate(
    certificate_authority: CertificateAuthority,
    common_name: str | None,
    names: tuple[x509.GeneralName, ...],
    expected: str,
) -> None:
    issued = certificate_authority.issue("named", common_name, names)
    assert load_certificate(files(issued)).name == expected


def test_clients_are_asked_for_certificates(certificate_authority: CertificateAuthority, tmp_path: Path) -> None:
    server, ca = certificate_authority.server, certificate_authority.ca_file
    assert load_certificate(files(server, ca)).context.verify_mode is ssl.CERT_REQUIRED
    no_certificate = tmp_path / "ca.pem"
    for path, reason in (
        (no_certificate, "can't be read: No such file or directory"),
        (server.key_file, "holds no PEM"),
    ):
        with pytest.raises(CertificateError, match=reason) as caught:
            load_certificate(files(server, path))
        assert (caught.value.setting, caught.value.path) == ("tls_client_ca", str(path))


@pytest.mark.parametrize(
    ("begins", "ends", "reason"), [(-3 * DAY, -DAY, "has expired on 20"), (DAY, 2 * DAY, "is not valid before 20")]
)
def test_one_that_is_not_valid_now(
    certificate_authority: CertificateAuthority, begins: datetime.timedelta, ends: datetime.timedelta, reason: str
) -> None:
    issued = certificate_authority.issue("invalid", begins=begins, ends=ends)
    with pytest.raises(CertificateError, match=reason) as caught:
        load_certificate(files(issued))
    assert caught.value.setting == "tls_cert"


@pytest.mark.parametrize("key", [P256, RSA])
def test_the_key_of_another_certificate(
    certificate_authority: CertificateAuthority, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    """Of the same kind, or of another."""
    other = certificate_authority.issue("other", key=key)
    mixed = CertificateFiles(str(certificate_authority.certificate_file), str(other.key_file))
    with pytest.raises(CertificateError, match="is not the key of the certificate") as caught:
        load_certificate(mixed)
    assert (caught.value.setting, caught.value.path) == ("tls_key", str(other.key_file))


def test_an_encrypted_key_asks_nobody_for_a_password(
    certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    server = certificate_authority.server
    key = load_pem_private_key(server.key_file.read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        encrypted.write_bytes(key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"password")))
        with pytest.raises(CertificateError, match="is encrypted") as caught:
            load_certificate(CertificateFiles(str(server.certificate_file), str(encrypted)))
        assert (caught.value.setting, str(caught.value).startswith(str(encrypted))) == ("tls_key", True)


def test_files_that_hold_something_else(certificate_authority: CertificateAuthority, tmp_path: Path) -> None:
    server = certificate_authority.server
    empty, broken = tmp_path / "empty.pem", tmp_path / "broken.pem"
    empty.write_bytes(b"")
    pem = server.key_file.read_bytes()
    broken.write_bytes(pem[: len(pem) // 2] + b"\n-----END PRIVATE KEY-----\n")
    for certificate, key, setting, reason in (
        (empty, server.key_file, "tls_cert", "holds no PEM certificate"),
        (server.key_file, server.key_file, "tls_cert", "holds no PEM certificate"),
        (tmp_path, server.key_file, "tls_cert", "can't be read: Is a directory"),
        (tmp_path / "none", server.key_file, "tls_cert", "can't be read: No such file or directory"),
        (server.certificate_file, empty, "tls_key", "holds no PEM private key"),
        (server.certificate_file, server.certificate_file, "tls_key", "holds no PEM private key"),
        (server.certificate_file, broken, "tls_key", "can't be used"),
        (server.certificate_file, tmp_path / "none", "tls_key", "can't be read: No such file or directory"),
    ):
        with pytest.raises(CertificateError, match=reason) as caught:
            load_certificate(CertificateFiles(str(certificate), str(key)))
        assert caught.value.setting == setting
        assert pem.splitlines()[1].decode() not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_key_for_the_eyes_of_others(certificate_authority: CertificateAuthority) -> None:
    issued = certificate_authority.issue("locked")
    issued.key_file.chmod(0)
    with pytest.raises(CertificateError, match="can't be read: Permission denied"):
        load_certificate(files(issued))


def test_what_openssl_itself_makes(tmp_path: Path) -> None:
    """As the documentation says how to make one."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=relay.example"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    assert load_certificate(CertificateFiles(str(certificate), str(key))).name == "relay.example"

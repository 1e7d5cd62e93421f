"""A certificate authority for one test run, and certificates of it."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

SERVER_NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key.

    Args:
        certificate_file: PEM.
        key_file: PEM, not encrypted.
    """

    certificate_file: Path
    key_file: Path

    def settings(self) -> dict[str, str]:
        """Return the settings of a gateway that shows it."""
        return {"tls_cert": str(self.certificate_file), "tls_key": str(self.key_file)}

    def replace(self, other: Issued) -> None:
        """Write another certificate and key into these files."""
        self.key_file.write_bytes(other.key_file.read_bytes())
        self.certificate_file.write_bytes(other.certificate_file.read_bytes())


class CertificateAuthority:
    """Makes its own key and signs one server certificate, both valid for a day.

    Args:
        directory: where the PEM files are written.

    Attributes:
        ca_file: certificate of the authority; what a client trusts.
        server: certificate of a server, for `localhost` and 127.0.0.1.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.ca_file = directory / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("relay test authority")
        now = datetime.datetime.now(datetime.UTC)
        authority = (
            self._builder(self._name, self._key.public_key(), now - DAY, now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
        )
        self.ca_file.write_bytes(self._sign(authority))
        self.server = self.issue("server")

    @property
    def certificate_file(self) -> Path:
        """Certificate of the server."""
        return self.server.certificate_file

    @property
    def key_file(self) -> Path:
        """Private key of the server."""
        return self.server.key_file

    def issue(
        self,
        file: str,
        common_name: str | None = "localhost",
        names: Sequence[x509.GeneralName] = SERVER_NAMES,
        *,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = DAY,
        key: Key | None = None,
    ) -> Issued:
        """Sign a certificate.

        Args:
            file: name of both files, without a suffix.
            common_name: of its subject; None: none.
            names: further ones.
            begins: from now.
            ends: from now.
            key: of its owner; None: a new one.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([]) if common_name is None else _name(common_name)
        builder = (
            self._builder(subject, key.public_key(), now + begins, now + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=common_name is None)
        issued = Issued(self._directory / f"{file}.pem", self._directory / f"{file}.key")
        issued.certificate_file.write_bytes(self._sign(builder))
        issued.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return issued

    def trust(self, own: Issued | None = None) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority.

        Args:
            own: the client's certificate; None: it has none.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if own is not None:
            context.load_cert_chain(own.certificate_file, own.key_file)
        return context

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        first: datetime.datetime,
        last: datetime.datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(first)
            .not_valid_after(last)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )

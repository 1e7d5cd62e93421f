"""The certificate with which a gateway shows who it is: read from files, checked, and ready for handshakes."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.errors import RelayError
from relay.system_error import in_words

if TYPE_CHECKING:
    from cryptography import x509

CERTIFICATE: Final = "tls_cert"
KEY: Final = "tls_key"
CLIENT_CA: Final = "tls_client_ca"
"""Names of the settings that name the files."""

_ALPN: Final = ["http/1.1"]
"""What is spoken inside (RFC 7301). A client that offers HTTP/2 as well takes this."""

_MISMATCHES: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons when a certificate has another key. The last one is for a key of another kind."""


class CertificateError(RelayError):
    """A file can't be used.

    Args:
        setting: the name of the setting that names it: `CERTIFICATE`, `KEY` or `CLIENT_CA`.
        path: of the file.
        reason: the rest of a sentence that begins with the file. It never has anything of the file's content.
    """

    def __init__(self, setting: str, path: str, reason: str) -> None:
        super().__init__(setting, path, reason)
        self.setting = setting
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate is; all in PEM.

    Args:
        certificate: the certificate, and after it those of the authorities between it and one that clients know.
        key: its private key; None: it is in the same file.
        client_ca: the authorities that sign the certificates of clients; each client must have one then. None: clients
            are asked for none.
    """

    certificate: str
    key: str | None = None
    client_ca: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """All files that there are."""
        return tuple(path for path in (self.certificate, self.key, self.client_ca) if path is not None)


@dataclass(frozen=True, slots=True, eq=False)
class ServerCertificate:
    """A certificate that fits to its key and is valid now.

    Args:
        context: for the handshakes of clients.
        name: the first that it is for, such as `relay.example.com`; empty: it has none.
        expires_at: when it ends, in seconds since 1970.
    """

    context: ssl.SSLContext
    name: str
    expires_at: float

    @property
    def expires(self) -> str:
        """When it ends, for people."""
        return datetime.datetime.fromtimestamp(self.expires_at, datetime.UTC).isoformat()


class _EncryptedKeyError(RelayError):
    """A key needs a password."""


def load_certificate(files: CertificateFiles) -> ServerCertificate:
    """Read a certificate and its key.

    Raises:
        CertificateError: they can't be used: a file can't be read, the two don't fit, the key has a password, or the
            certificate isn't valid now.
    """
    certificate = _read_certificate(files.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client of TLS 1.2 could ask for handshake after handshake on one connection.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_ALPN)
    _add_key(context, files)
    if files.client_ca is not None:
        _require_client_certificates(context, files.client_ca)
    return ServerCertificate(context, _name_of(certificate), certificate.not_valid_after_utc.timestamp())


def _read(setting: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise CertificateError(setting, path, f"can't be read: {reason}") from None


def _read_certificate(path: str) -> x509.Certificate:
    """Return the first certificate of a file, which is valid now."""
    from cryptography import x509  # only here: it takes 60 ms and 8 MB that are for gateways with TLS alone

    try:
        certificate = x509.load_pem_x509_certificates(_read(CERTIFICATE, path))[0]
    except ValueError:
        raise CertificateError(CERTIFICATE, path, "holds no PEM certificate") from None
    now = datetime.datetime.now(datetime.UTC)
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > last:
        raise CertificateError(CERTIFICATE, path, f"has expired on {last:%Y-%m-%d %H:%M} UTC")
    if now < first:
        raise CertificateError(CERTIFICATE, path, f"is not valid before {first:%Y-%m-%d %H:%M} UTC")
    return certificate


def _add_key(context: ssl.SSLContext, files: CertificateFiles) -> None:
    """Give a context the certificate and its key."""

    def refuse() -> str:
        raise _EncryptedKeyError  # without this OpenSSL would ask on the terminal

    setting, path = (CERTIFICATE, files.certificate) if files.key is None else (KEY, files.key)
    if b"PRIVATE KEY-----" not in _read(setting, path):
        raise CertificateError(setting, path, "holds no PEM private key")
    try:
        context.load_cert_chain(files.certificate, files.key, refuse)
    except _EncryptedKeyError:
        raise CertificateError(setting, path, "is encrypted; `openssl pkey` takes the password away") from None
    except ssl.SSLError as error:
        if error.reason in _MISMATCHES:
            raise CertificateError(setting, path, "is not the key of the certificate") from None
        raise CertificateError(setting, path, f"can't be used: {in_words(error)}") from None
    except OSError as error:
        raise CertificateError(setting, path, f"can't be read: {in_words(error)}") from None


def _require_client_certificates(context: ssl.SSLContext, path: str) -> None:
    _read(CLIENT_CA, path)
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError):  # an SSLError is an OSError
        raise CertificateError(CLIENT_CA, path, "holds no PEM certificate") from None
    context.verify_mode = ssl.CERT_REQUIRED


def _name_of(certificate: x509.Certificate) -> str:
    """Return the first DNS name of a certificate; else its common name, or nothing."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found = []
    else:
        found = names.get_values_for_type(x509.DNSName)
    found += [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return found[0] if found else ""

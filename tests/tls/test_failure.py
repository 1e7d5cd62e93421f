"""Failed handshakes by kind, as OpenSSL fails."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from relay.tls.failure import Failure, failure_of
from tests.harness.certificate_authority import CertificateAuthority


def failure(server: ssl.SSLContext, client: ssl.SSLContext) -> Failure | None:
    """Do a handshake in memory; return how it has failed on the server's side."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(down, up, server_hostname="localhost"),
        server.wrap_bio(up, down, server_side=True),
    ]
    for _ in range(10):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                if side.server_side:
                    return failure_of(error)
    return None


def old(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1


def another_cipher(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")  # the server's key is none of RSA


def trusting_nobody(context: ssl.SSLContext) -> None:
    pass


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("prepare", "trusts", "expected"),
    [
        (lambda context: None, True, None),
        (old, True, Failure.VERSION),
        (another_cipher, True, Failure.CIPHER),
        (lambda context: None, False, Failure.ALERT),
    ],
)
def test_what_a_client_can_not_do(
    certificate_authority: CertificateAuthority,
    prepare: Callable[[ssl.SSLContext], None],
    trusts: bool,
    expected: Failure | None,
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2  # as a gateway has it; some builds of Python have no minimum
    server.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    client = certificate_authority.trust() if trusts else ssl.create_default_context()
    prepare(client)
    assert failure(server, client) is expected


def test_certificates_of_clients(certificate_authority: CertificateAuthority) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    server.load_verify_locations(certificate_authority.ca_file)
    server.verify_mode = ssl.CERT_REQUIRED
    ann = certificate_authority.issue("ann-of-failures", "ann", ())
    assert failure(server, certificate_authority.trust()) is Failure.NO_CERTIFICATE
    assert failure(server, certificate_authority.trust(ann)) is None
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    server.verify_mode = ssl.CERT_REQUIRED
    assert failure(server, certificate_authority.trust(ann)) is Failure.CERTIFICATE


def test_what_is_not_known_is_malformed() -> None:
    error = ssl.SSLError(1, "")
    assert failure_of(error) is Failure.MALFORMED

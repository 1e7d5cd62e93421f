"""Where a Redis is, from its URL."""

from __future__ import annotations

import ssl

import pytest

from relay.brokers.redis.address import Address, parse_address
from tests.harness.certificate_authority import CertificateAuthority


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", Address()),
        ("redis://example", Address(host="example")),
        ("redis://example:7000/3", Address(host="example", port=7000, db=3)),
        ("redis://:s%40cret@example", Address(host="example", password="s@cret")),
        ("redis://bob:pw@example", Address(host="example", username="bob", password="pw")),
        ("unix:///run/redis.sock?db=2", Address(path="/run/redis.sock", db=2)),
    ],
)
def test_parts_of_a_url(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize("url", ["http://example", "redis://example:port", "redis://example?db=x"])
def test_what_is_no_redis_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_address(url)


def test_secrets_are_not_shown() -> None:
    address = parse_address("redis://bob:secret@example:7000")
    assert "secret" not in f"{address} {address!r}"
    assert str(address) == "example:7000"
    assert str(parse_address("unix:///run/redis.sock")) == "/run/redis.sock"


def test_tls_checks_certificate_and_name_unless_told_otherwise(certificate_authority: CertificateAuthority) -> None:
    ca = str(certificate_authority.ca_file)
    strict = parse_address("rediss://example", ca).tls
    assert strict is not None
    assert strict.verify_mode is ssl.CERT_REQUIRED
    assert strict.check_hostname
    assert strict.get_ca_certs()
    by_url = parse_address(f"rediss://example?ssl_ca_certs={ca}&ssl_check_hostname=false").tls
    assert by_url is not None
    assert (by_url.verify_mode, by_url.check_hostname) == (ssl.CERT_REQUIRED, False)
    lax = parse_address("rediss://example?ssl_cert_reqs=none").tls
    assert lax is not None
    assert lax.verify_mode is ssl.CERT_NONE
    assert parse_address("redis://example").tls is None


def test_client_certificates_are_loaded(certificate_authority: CertificateAuthority) -> None:
    authority = certificate_authority
    url = f"rediss://example?ssl_certfile={authority.certificate_file}&ssl_keyfile={authority.key_file}"
    assert parse_address(url, str(authority.ca_file)).tls is not None
    with pytest.raises(OSError, match="No such file"):
        parse_address("rediss://example?ssl_certfile=/nowhere.pem")

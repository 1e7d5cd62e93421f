"""Where a Redis is, from its URL."""

from __future__ import annotations

import re
import ssl

import pytest

from relay import AsyncPublisher, Publisher
from relay.brokers.redis.address import Address, parse_address
from relay.brokers.schemes import describe
from tests.harness.certificate_authority import CertificateAuthority


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", Address()),
        ("REDIS://Example", Address(host="example")),
        ("redis://[::1]:6380", Address(host="::1", port=6380)),
        ("redis://example:7000/3", Address(host="example", port=7000, db=3)),
        ("redis://:s%40cret@example", Address(host="example", password="s@cret")),
        ("redis://bob:pw@example", Address(host="example", username="bob", password="pw")),
        # A user without a password is still that user, not the default one.
        ("redis://bob@example", Address(host="example", username="bob", password="")),
        ("redis://:@example", Address(host="example")),
        ("redis://example?db=3&username=bob&password=a%2Bb", Address("example", 6379, None, "bob", "a+b", 3)),
        ("unix:///run/redis.sock?db=2", Address(path="/run/redis.sock", db=2)),
        ("unix://:pw@/run/my%20redis.sock", Address(path="/run/my redis.sock", password="pw")),
    ],
)
def test_parts_of_a_url(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example", "the scheme must be one of redis://, rediss://, unix://"),
        ("memory://", "the scheme must be one of"),
        ("redis://", "the host is missing"),
        ("redis:///1", "the host is missing"),
        ("redis://example:port", "the host or the port is wrong"),
        ("redis://example:0", "the port must be 1 to 65535"),
        ("redis://exam ple", "no control characters or white space"),
        ("redis://example#1", "write # as %23"),
        ("redis://example?db=x", "the database must be a number"),
        ("redis://example?db=", "the database must be a number"),
        ("redis://example/x", "the database must be a number"),
        ("redis://example/1?db=2", "db is given twice"),
        ("redis://bob:secret@example?password=secret", "password is given twice"),
        ("redis://bob@example?username=eve", "username is given twice"),
        ("redis://example?db=1&db=2", "an option is given twice"),
        # redis-py would take these, and the links of a gateway could not keep them.
        ("redis://example?socket_timeout=1", "options can be db, password, username"),
        ("redis://example?max_connections=1", "options can be"),
        ("redis://example?protocol=3", "options can be"),
        ("redis://example?retry_on_timeout=true", "options can be"),
        ("redis://example?ssl_cert_reqs=none", "options can be"),
        ("rediss://example?ssl_cert_reqs=maybe", "ssl_cert_reqs must be required or none"),
        ("rediss://example?ssl_check_hostname=perhaps", "ssl_check_hostname must be true or false"),
        ("rediss://example?ssl_keyfile=/key.pem", "ssl_keyfile needs ssl_certfile"),
        ("rediss://example?ssl_ca_certs=/nowhere.pem", "the authority's certificates can't be used: No such file"),
        ("rediss://example?ssl_certfile=/nowhere.pem", "ssl_certfile and ssl_keyfile can't be used: No such file"),
        ("unix://", "unix:// needs the path of a socket"),
        ("unix://run/redis.sock", "unix:// needs the path of a socket, after three slashes"),
    ],
)
def test_what_would_mean_different_things_to_gateways_and_publishers_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        parse_address(url)
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match=re.escape(reason)):
        Publisher(url)
    with pytest.raises(ValueError, match=re.escape(reason)):
        AsyncPublisher(url)


def test_the_authority_is_named_once_and_with_tls_only(certificate_authority: CertificateAuthority) -> None:
    ca = str(certificate_authority.ca_file)
    with pytest.raises(ValueError, match="given twice: leave out ssl_ca_certs"):
        parse_address(f"rediss://example?ssl_ca_certs={ca}", ca)
    with pytest.raises(ValueError, match="needs rediss://"):
        parse_address("redis://example", ca)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("memory://", "memory://"),
        ("redis://bob:secret@example", "redis://example:6379/0"),
        ("rediss://bob:secret@[::1]:7000/3?ssl_cert_reqs=none", "rediss://[::1]:7000/3"),
        ("unix://:secret@/run/redis.sock?db=2", "unix:///run/redis.sock"),
    ],
)
def test_a_bus_is_described_without_secrets(url: str, text: str) -> None:
    assert describe(url) == text


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

"""Checks of `Host`: by which names clients may call the relay."""

from __future__ import annotations

import pytest

from relay.auth.host import check_host, read_allowed_host
from relay.errors import Refused

ALLOWED = tuple(map(read_allowed_host, ("Relay.example.com", "*.example.org.")))


@pytest.mark.parametrize(
    "host",
    [
        "relay.example.com",
        "RELAY.example.com:8443",
        "relay.example.com.:80",
        "eu.example.org",
        "a.b.example.org:8000",
        "localhost:8000",
        "app.localhost",
        "127.0.0.1",
        "10.0.0.1:8000",
        "[::1]",
        "[2001:db8::1]:8000",
        None,
    ],
)
def test_its_names_addresses_and_localhost_are_accepted(host: str | None) -> None:
    """No site can have an address for a name; a client of HTTP/1.0 may send no `Host`."""
    check_host(host, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "example.org",
        ".example.org",
        "evilexample.org",
        "relay.example.com.evil.example",
        "evil.example#relay.example.com",
        "evil.example/.example.org",
        "evil.example:80:.example.org",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "notlocalhost",
        "[::1].evil.example",
        "[::1",
        "1",
        "0x7f.1",
        "x" * 10_000,
        "\x85.example.org",
        "",
    ],
)
def test_other_names_are_misdirected(host: str) -> None:
    check_host(host, None)
    with pytest.raises(Refused, match="RELAY_ALLOWED_HOSTS") as caught:
        check_host(host, ALLOWED)
    assert caught.value.status == 421
    assert len(caught.value.reason) < 400
    assert caught.value.reason.isprintable()

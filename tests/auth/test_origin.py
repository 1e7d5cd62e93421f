"""Which pages may use the relay."""

from __future__ import annotations

import pytest

from relay.auth.origin import ANY, canonical, check_origin, cors_headers
from relay.errors import Refused

APP = "https://app.example.com"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "relay.example.com"),
        (None, None),
        ("https://relay.example.com", "relay.example.com"),
        ("https://relay.example.com", "Relay.example.com:443"),
        ("http://relay.example.com", "relay.example.com:80"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://[::1]", "[::1]:80"),
    ],
)
def test_a_program_and_the_relays_own_pages_are_always_welcome(origin: str | None, host: str | None) -> None:
    check_origin(origin, host, ())
    assert cors_headers(origin, host, ()) == {}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example.com", "relay.example.com"),
        ("https://relay.example.com.evil.com", "relay.example.com"),
        ("https://relay.example.com:8443", "relay.example.com"),
        ("https://relay.example.com", "relay.example.com:80"),
        ("https://relay.example.com", None),
        ("null", "null"),
        ("null", "relay.example.com"),
        ("", "relay.example.com"),
        ("", ""),
    ],
)
def test_other_pages_are_refused(origin: str, host: str | None) -> None:
    for allowed in ((), (APP,)):
        with pytest.raises(Refused, match="RELAY_ALLOWED_ORIGINS") as caught:
            cors_headers(origin, host, allowed)
        assert caught.value.status == 403


def test_a_listed_site_may_read_and_keep_its_cookie() -> None:
    assert cors_headers(APP, "relay.example.com", (APP,)) == {
        "Access-Control-Allow-Origin": APP,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def test_any_site_may_read_but_send_no_cookie() -> None:
    for origin in (APP, "null"):
        assert cors_headers(origin, "relay.example.com", (ANY,)) == {"Access-Control-Allow-Origin": "*"}


def test_a_refusal_does_not_repeat_all_that_a_stranger_sends() -> None:
    with pytest.raises(Refused) as caught:
        check_origin("x" * 10_000, "y", ())
    assert len(caught.value.reason) < 400


def test_origins_are_compared_as_browsers_send_them() -> None:
    assert canonical("HTTPS://App.Example.com:443") == APP
    assert canonical("http://app.example.com:443") == "http://app.example.com:443"
    assert canonical("capacitor://localhost") == "capacitor://localhost"

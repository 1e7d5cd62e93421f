"""Checks of `Origin`: which pages may use the relay."""

from __future__ import annotations

import pytest

from relay.auth.origin import ANY, canonical, check_fetch_site, check_origin, cors_headers, read_allowed
from relay.errors import Refused

APP = "https://app.example.com"
READABLE = {"Access-Control-Expose-Headers": "Retry-After"}


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
def test_programs_and_pages_of_the_relays_own_site_are_allowed_where_nothing_is_set(
    origin: str | None, host: str | None
) -> None:
    check_origin(origin, host, None)
    assert cors_headers(origin, host, None) == {}


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
    for allowed in (None, (APP,)):
        with pytest.raises(Refused, match="RELAY_ALLOWED_ORIGINS") as caught:
            cors_headers(origin, host, allowed)
        assert caught.value.status == 403


@pytest.mark.parametrize("name", ["relay.example.com", "evil.example:8000"])
def test_a_list_means_that_list_alone(name: str) -> None:
    """A page whose name was pointed at the relay (DNS rebinding) has that name in `Host`, too."""
    with pytest.raises(Refused, match="its own are none of them unless they are listed") as caught:
        cors_headers(f"http://{name}", name, (APP,))
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        (
            "https://*.example.com",
            ["https://app.example.com", "https://a.b-c.example.com", "https://_x.example.com"],
            [
                "https://example.com",
                "https://.example.com",
                "https://a..example.com",
                "http://app.example.com",
                "https://app.example.com:8443",
                "https://app.example.com.evil.com",
                "https://evilexample.com",
                "https://evil.com/.example.com",
                "https://evil.com#.example.com",
                "https://evil.com:443@x.example.com",
                "https://a.example.com\n",
                "https://\n.example.com",
                "null",
                "",
            ],
        ),
        (
            "http://*.example.com:8080",
            ["http://a.example.com:8080"],
            ["http://a.example.com", "http://a.example.com:80800"],
        ),
        ("http://*.localhost:3000", ["http://app.localhost:3000"], ["http://localhost:3000", "http://app.localhost"]),
    ],
)
def test_a_star_stands_for_one_or_more_names_below_a_host(pattern: str, fits: list[str], others: list[str]) -> None:
    allowed = (read_allowed(pattern),)
    for origin in fits:
        check_origin(origin, "relay.example.com", allowed)
    for origin in others:
        with pytest.raises(Refused):
            check_origin(origin, "relay.example.com", allowed)


@pytest.mark.parametrize(
    "text",
    [
        "https://*",
        "https://*:8443",
        "https://*.com",
        "https://*.0.0.1",
        "https://*.[::1]",
        "https://a.*.example.com",
        "https://*app.example.com",
        "https://*.*.example.com",
        "https://*.example.com:*",
        "https://*.example.com/",
        "*://app.example.com",
        "*.example.com",
        "**",
        "https://app.example.com/",
        "https://",
        "nullx",
        "",
    ],
)
def test_a_star_anywhere_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not "):
        read_allowed(text)


def test_a_page_of_a_subdomain_may_read_and_keep_its_cookie() -> None:
    page = "https://eu.app.example.com"
    assert cors_headers(page, "relay.example.com", ("https://*.example.com",)) == {
        "Access-Control-Allow-Origin": page,
        **READABLE,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def test_pages_without_an_origin_need_to_be_listed_and_send_no_cookie() -> None:
    """Any site can make one, in a frame: cookies would be for all of them."""
    assert cors_headers("null", "relay.example.com", (APP, "null")) == {
        "Access-Control-Allow-Origin": "null",
        **READABLE,
        "Vary": "Origin",
    }
    for allowed in (None, (APP,), ("https://*.example.com",)):
        with pytest.raises(Refused):
            check_origin("null", "null", allowed)


def test_caches_are_told_what_a_response_depends_on() -> None:
    """Otherwise the response to a program, which no page may read, could be given to a page."""
    assert cors_headers(None, "x", (APP,)) == {"Vary": "Origin"}
    assert cors_headers(None, "x", (ANY,)) == {"Access-Control-Allow-Origin": "*", **READABLE}
    assert cors_headers("https://b.example", "x", (APP, ANY)) == {
        "Access-Control-Allow-Origin": "*",
        "Vary": "Origin",
        **READABLE,
    }
    assert cors_headers(APP, "x", (APP, ANY))["Access-Control-Allow-Credentials"] == "true"


def test_a_listed_site_may_read_and_keep_its_cookie() -> None:
    assert cors_headers(APP, "relay.example.com", (APP,)) == {
        "Access-Control-Allow-Origin": APP,
        **READABLE,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def test_any_site_may_read_but_send_no_cookie() -> None:
    for origin in (APP, "null"):
        assert cors_headers(origin, "relay.example.com", (ANY,)) == {"Access-Control-Allow-Origin": "*", **READABLE}


def test_a_refusal_repeats_only_the_beginning_of_a_long_origin() -> None:
    with pytest.raises(Refused) as caught:
        check_origin("x" * 10_000, "y", None)
    assert len(caught.value.reason) < 400


def test_origins_are_compared_as_browsers_send_them() -> None:
    assert canonical("HTTPS://App.Example.com:443") == APP
    assert canonical("http://app.example.com:443") == "http://app.example.com:443"
    assert canonical("capacitor://localhost") == "capacitor://localhost"


@pytest.mark.parametrize(
    ("site", "destination"),
    [
        (None, None),
        ("same-origin", "empty"),
        ("same-site", "image"),
        ("none", "document"),
        ("cross-site", "document"),
    ],
)
def test_requests_of_programs_own_pages_and_people_are_let_in(site: str | None, destination: str | None) -> None:
    check_fetch_site(site, destination)


@pytest.mark.parametrize("destination", ["image", "iframe", "empty", "script", None])
def test_what_another_site_embeds_is_refused(destination: str | None) -> None:
    """An image has no `Origin`, and could have its visitor's address locked out by wrong tokens."""
    with pytest.raises(Refused) as refused:
        check_fetch_site("cross-site", destination)
    assert refused.value.status == 403

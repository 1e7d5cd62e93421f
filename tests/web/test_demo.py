"""The playground page, as a server answers it."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from aiohttp import ClientResponse, ClientSession

from relay.web.demo import accepts_html
from relay.web.documents import titles
from tests.conftest import EmbeddedFactory
from tests.harness.free_port import free_port
from tests.harness.http_response import send_request
from tests.harness.raw_websocket import RawWebSocket

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def fetch(
    port: int, path: str = "/", method: str = "GET", headers: dict[str, str] = BROWSER
) -> tuple[ClientResponse, bytes]:
    """Return what a browser is answered."""
    async with (
        ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", headers=headers) as response,
    ):
        return response, await response.read()


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        (BROWSER["Accept"], True),
        ("TEXT/HTML", True),
        ("application/json, text/html;q=0.1", True),
        ("application/xhtml+xml", True),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("text/plain;note=text/html", False),
        ("text/html;q=0", False),
        ("text/html; q=0.000", False),
    ],
)
def test_only_who_asks_for_a_page_by_name_gets_one(accept: str, accepted: bool) -> None:
    assert accepts_html(accept) is accepted


@pytest.mark.parametrize(
    ("listed", "status"),
    [
        (None, 200),
        (("*",), 200),
        (("http://127.0.0.1:{port}",), 200),
        (("https://app.example.com", "https://127.0.0.1:{port}"), 200),
        (("https://app.example.com",), 403),
        (("null", "http://127.0.0.1"), 403),
    ],
)
async def test_where_its_own_site_is_not_listed_the_page_says_so(
    embedded: EmbeddedFactory, listed: tuple[str, ...] | None, status: int
) -> None:
    """It could not connect, and a browser doesn't tell a page why. Behind a proxy the site may be https."""
    port = free_port()
    origins = None if listed is None else tuple(origin.format(port=port) for origin in listed)
    (gateway,) = await embedded(1, port=port, allowed_origins=origins)
    response, body = await fetch(gateway.port)
    assert response.status == status
    if status == 403:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert b"RELAY_ALLOWED_ORIGINS" in body
        assert b"RELAY_DEMO=off" in body
        assert (await fetch(gateway.port, headers={}))[0].status == 426


async def test_browsers_get_a_page_that_may_do_nothing_but_its_work(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    response, body = await fetch(gateway.port)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<!doctype html>" in body
    assert response.headers["Vary"] == "Accept"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; ") if " " in part)
    here = f"127.0.0.1:{gateway.port}"
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": f"'self' ws://{here} wss://{here}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }


async def test_every_file_that_a_file_names_is_there_with_its_type(embedded: EmbeddedFactory) -> None:
    """The page's links and the scripts' imports; all with the same care as the page."""
    (gateway,) = await embedded(1)
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "json": "application/json"}
    waiting, seen = ["/"], set()
    while waiting:
        seen.add(path := waiting.pop())
        response, body = await fetch(gateway.port, path)
        assert response.status == 200, path
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert path == "/" or response.content_type == types[path.rpartition(".")[2]]
        text = body.decode()
        named = {f"/{name}" for name in re.findall(r'(?:src|href)="((?:demo|client)/[^"]+)"', text)}
        modules = re.findall(r'(?:from "(?=\.)|new URL\(")([^"$]+)"', text)
        named |= {urljoin(path, name) for name in modules}
        waiting += named - seen
    assert len(seen) > 10


async def test_a_browser_that_has_a_file_gets_it_no_second_time(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    for path in ("/", "/demo/page.css"):
        first, _ = await fetch(gateway.port, path)
        tag = first.headers["ETag"]
        again, body = await fetch(gateway.port, path, headers={**BROWSER, "If-None-Match": f'"other", W/{tag}'})
        assert (again.status, body, again.headers["ETag"]) == (304, b"", tag)
        other, body = await fetch(gateway.port, path, headers={**BROWSER, "If-None-Match": '"other"'})
        assert other.status == 200
        assert body


async def test_head_tells_the_same_without_the_page(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    for path in ("/", "/demo/page.css"):
        got, body = await fetch(gateway.port, path)
        head, nothing = await fetch(gateway.port, path, "HEAD")
        assert (head.status, nothing) == (200, b"")
        assert head.headers["Content-Length"] == str(len(body))
        assert head.headers["ETag"] == got.headers["ETag"]


async def test_others_are_told_how_to_connect(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    for method, headers in [("GET", {"Accept": "*/*"}), ("GET", {"Accept": "text/plain"}), ("POST", BROWSER)]:
        response, body = await fetch(gateway.port, "/", method, headers)
        assert response.status == 426
        assert b"connect with a WebSocket client" in body
    response, _ = await fetch(gateway.port, "/demo/nothing.js")
    assert response.status == 404


async def test_the_path_of_the_page_still_takes_websockets(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/", f"Accept: {BROWSER['Accept']}")).status == 101


async def test_it_can_be_turned_off(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, demo="off")
    response, body = await fetch(gateway.port)
    assert response.status == 426
    assert b"connect with a WebSocket client" in body
    for file in ("page.js", "server.json"):
        response, _ = await fetch(gateway.port, f"/demo/{file}")
        assert response.status == 404


@pytest.mark.parametrize("host", ["evil.example; script-src *", "a, b", "[::1]:8000", "a'b", "ä.example"])
async def test_a_host_that_a_policy_cannot_name_does_not_get_into_it(embedded: EmbeddedFactory, host: str) -> None:
    (gateway,) = await embedded(1, allowed_hosts=("*",))
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"
    response = await send_request(gateway.port, request.encode())
    if response.status == 200:
        assert "connect-src 'self';" in response.headers["content-security-policy"]
        assert "script-src 'self';" in response.headers["content-security-policy"]
    else:
        assert response.status == 400


async def test_the_page_learns_what_the_server_allows_and_no_secret(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_message_bytes=1000, default_channel="ä")
    response, _ = await fetch(gateway.port, "/demo/server.json")
    assert await response.json() == {
        "documents": titles(),
        "auth": "none",
        "everything": True,
        "subprotocol": "relay",
        "default_channel": "ä",
        "max_message_bytes": 1000,
        "redis_prefix": None,
    }
    secrets = {"jwt_secret": "secret" * 6, "auth_keys": "secret" * 3, "api_keys": "secret" * 3}
    url = "redis://:secret@127.0.0.1:1"
    (gateway,) = await embedded(1, broker_url=url, broker_prefix="p:", publish_timeout=0, auth="key", **secrets)
    response, body = await fetch(gateway.port, "/demo/server.json")
    assert await response.json() == {
        "documents": titles(),
        "auth": "key",
        "everything": False,
        "subprotocol": "relay",
        "default_channel": "lobby",
        "max_message_bytes": 65536,
        "redis_prefix": "p:",
    }
    assert b"secret" not in body


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ({"rights": "news=r"}, {"auth": "none", "everything": False}),
        ({"auth": "jwt", "jwt_secret": "s" * 32}, {"auth": "jwt", "everything": False}),
        # Its path is nobody's business.
        ({"auth": "tests.gateway.test_access.identify"}, {"auth": "function", "everything": False}),
        ({"subprotocols": "b,relay"}, {"subprotocol": "relay"}),
        ({"subprotocols": "b,*"}, {"subprotocol": "relay"}),
        ({"subprotocols": "b,c"}, {"subprotocol": "b"}),
    ],
)
async def test_the_page_learns_who_may_do_what(
    embedded: EmbeddedFactory, settings: dict[str, str], known: dict[str, object]
) -> None:
    (gateway,) = await embedded(1, **settings)
    response, _ = await fetch(gateway.port, "/demo/server.json")
    found = await response.json()
    assert {name: found[name] for name in known} == known

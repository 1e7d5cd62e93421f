"""Names that aren't the relay's, on all ways in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import EmbeddedFactory
from tests.harness.http_response import HttpResponse, send_request

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version: 13",
)
WAYS = [
    ("GET", "/ws/a", UPGRADE),
    ("GET", "/", UPGRADE),
    ("GET", "/sse/a", ()),
    ("GET", "/poll/a?wait=0", ()),
    ("POST", "/publish/a", ("Content-Length: 0",)),
    ("OPTIONS", "/publish/a", ()),
    ("GET", "/", ("Accept: text/html",)),
    ("GET", "/demo/server.json", ()),
    ("GET", "/metrics", ()),
    ("POST", "/api/publish", ("Content-Length: 0",)),
    ("GET", "/nowhere", ()),
]


async def ask(port: int, host: str, method: str, target: str, *headers: str) -> HttpResponse:
    """Send a request to a name."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if not any(line.startswith("Connection") for line in lines):
        lines.append("Connection: close")
    return await send_request(port, "\r\n".join([*lines, "", ""]).encode())


@pytest.mark.parametrize(("method", "target", "headers"), WAYS)
async def test_a_page_whose_name_was_pointed_here_gets_nothing(
    embedded: EmbeddedFactory, method: str, target: str, headers: tuple[str, ...]
) -> None:
    """Its browser takes the relay for the page's own site, and sends no `Origin` with a GET."""
    (gateway,) = await embedded(1, allowed_hosts=("relay.example.com",))
    answer = await ask(gateway.port, "evil.example:8000", method, target, *headers)
    assert answer.status == 421
    assert answer.text == "this relay is not called evil.example:8000; RELAY_ALLOWED_HOSTS lists its names\n"
    assert gateway.counters.messages_received == 0
    assert gateway.counters.connections_accepted == 0


@pytest.mark.parametrize("host", ["relay.example.com", "127.0.0.1:8000"])
async def test_its_own_names_are_served(embedded: EmbeddedFactory, host: str) -> None:
    (gateway,) = await embedded(1, allowed_hosts=("relay.example.com",))
    assert (await ask(gateway.port, host, "GET", "/poll/a?wait=0")).status == 200
    assert (await ask(gateway.port, host, "GET", "/metrics")).status == 200


async def test_health_checks_may_call_it_as_they_like(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_hosts=("relay.example.com",))
    for path in ("/healthz", "/readyz"):
        assert (await ask(gateway.port, "backend_3", "GET", path)).status == 200


async def test_on_loopback_only_its_names_and_addresses_are_served(embedded: EmbeddedFactory) -> None:
    """A page whose name was pointed at 127.0.0.1 (DNS rebinding) would read what it likes."""
    (gateway,) = await embedded(1)
    for name, status in (("anything.example", 421), ("localhost:8000", 200), ("127.0.0.1:8000", 200), ("[::1]", 200)):
        assert (await ask(gateway.port, name, "GET", "/poll/a?wait=0")).status == status


@pytest.mark.parametrize(
    "settings", [{"host": ("0.0.0.0",)}, {"trusted_proxies": ("127.0.0.1",)}, {"allowed_hosts": ("*",)}]
)
async def test_elsewhere_behind_proxies_and_with_a_star_any_name_is_served(
    embedded: EmbeddedFactory, settings: dict[str, Any]
) -> None:
    """As the playground is: at whatever name it was found."""
    (gateway,) = await embedded(1, **settings)
    assert (await ask(gateway.port, "anything.example", "GET", "/", "Accept: text/html")).status == 200
    assert (await ask(gateway.port, "anything.example", "GET", "/poll/a?wait=0")).status == 200

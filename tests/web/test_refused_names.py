"""What the log says of the pages that may not use the relay, and of hosts that are not its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from relay.auth.host import HostRefused
from relay.auth.origin import OriginRefused
from relay.errors import Refused
from relay.web.refused_names import MOST_LETTERS, MOST_NAMES, RefusedNames
from tests.conftest import EmbeddedFactory
from tests.harness.http_response import send_request

LISTED = "https://app.example.com"

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
WEBSOCKET = ("Upgrade: websocket", "Connection: Upgrade", KEY, "Sec-WebSocket-Version: 13")

WAYS = {
    "a WebSocket": ("GET /ws/a", *WEBSOCKET),
    "a WebSocket, said in another way": ("GET /ws/a", *WEBSOCKET, "Expect: 100-continue"),
    "events": ("GET /sse/a",),
    "a stream": ("POST /connection/http_stream", "Content-Length: 2", "", "{}"),
    "a poll": ("GET /poll/a?wait=0",),
    "a message": ("POST /publish/a", "Content-Length: 0"),
    "what a browser asks before": ("OPTIONS /publish/a",),
    "a preflight of events": ("OPTIONS /sse/a",),
}
"""What a page asks for → its request line without the version, and further headers."""


@pytest.fixture(autouse=True)
def _level_of_a_gateway(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "relay")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the entries about origins."""
    return [text for text in caplog.messages if text.startswith("origin refused")]


async def status(port: int, origin: str, line: str, *more: str, host: str = "localhost") -> int:
    """Send a request of a page, and return the status of the answer."""
    lines = [f"{line} HTTP/1.1", f"Host: {host}", f"Origin: {origin}", *more]
    end = "" if "" in more else "\r\n\r\n"
    return (await send_request(port, ("\r\n".join(lines) + end).encode("latin-1"))).status


@pytest.mark.parametrize("way", WAYS)
async def test_a_page_that_is_refused_leaves_a_trace(
    embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    assert await status(gateway.port, "https://b.example", *WAYS[way]) == 403
    assert told(caplog) == ["origin refused origin=https://b.example setting=RELAY_ALLOWED_ORIGINS"]


async def test_each_page_is_told_once_whatever_it_asks_for(
    embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    for origin in ("https://b.example", "http://localhost", "https://b.example"):
        for request in WAYS.values():
            assert await status(gateway.port, origin, *request) == 403
    assert [text.split()[2] for text in told(caplog)] == ["origin=https://b.example", "origin=http://localhost"]


async def test_what_is_refused_for_another_reason_is_no_page_that_is_missing(
    embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    assert await status(gateway.port, LISTED, "GET /ws/%", *WEBSOCKET) == 400
    assert await status(gateway.port, LISTED, "GET /sse/%") == 400
    assert await status(gateway.port, LISTED, "PUT /publish/a", "Content-Length: 0") == 405
    assert told(caplog) == []


async def test_an_entry_holds_nothing_that_a_terminal_obeys(
    embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    assert await status(gateway.port, "https://\x85\xad" + "x" * 5000, *WAYS["a WebSocket"]) == 403
    (entry,) = told(caplog)
    assert entry.isprintable()
    assert len(entry) < 2 * MOST_LETTERS


@pytest.mark.parametrize("way", WAYS)
async def test_a_host_that_is_not_the_relays_leaves_a_trace_and_is_counted(
    embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,), allowed_hosts=("relay.example.com",))
    for host in ("b.example", "b.example", "c.example:80"):
        assert await status(gateway.port, LISTED, *WAYS[way], host=host) == 421
    told = [text for text in caplog.messages if text.startswith("host refused")]
    assert told == [f"host refused host={host} setting=RELAY_ALLOWED_HOSTS" for host in ("b.example", "c.example:80")]
    assert gateway.counters.connections_refused == {"misdirected_request": 3}


@pytest.mark.parametrize("way", [way for way in WAYS if "message" not in way and "before" not in way])
async def test_a_client_that_is_refused_for_its_origin_is_counted(embedded: EmbeddedFactory, way: str) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    assert await status(gateway.port, "https://b.example", *WAYS[way]) == 403
    assert gateway.counters.connections_refused == {"forbidden": 1}


async def test_whatever_refuses_a_poll_is_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=(LISTED,))
    assert await status(gateway.port, LISTED, "GET /poll/%") == 400
    assert await status(gateway.port, LISTED, "GET /poll/a?wait=never") == 400
    assert await status(gateway.port, LISTED, "PUT /poll/a", "Content-Length: 0") == 405
    assert gateway.counters.connections_refused == {"bad_request": 2, "method_not_allowed": 1}


@pytest.mark.parametrize(
    "made_up",
    [lambda number: OriginRefused(f"https://{number}.example", ""), lambda number: HostRefused(f"{number}.example")],
)
def test_names_that_are_made_up_fill_no_disk(
    caplog: pytest.LogCaptureFixture, made_up: Callable[[int], Refused]
) -> None:
    refused = RefusedNames()
    for number in range(10 * MOST_NAMES):
        refused.note(made_up(number))
    assert 0 < len(caplog.messages) <= MOST_NAMES
    caplog.clear()
    refused.note(made_up(-1))
    assert caplog.messages == []

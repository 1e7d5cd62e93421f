"""What a browser asks before, and reads after, a page of another site uses an endpoint."""

from __future__ import annotations

import pytest

from tests.conftest import EmbeddedFactory
from tests.harness.http_response import HttpResponse, send_request
from tests.harness.raw_websocket import RawWebSocket

PAGE = "https://a.example"


async def ask(port: int, method: str, target: str, *headers: str) -> HttpResponse:
    """Send a request without a body."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return await send_request(port, "\r\n".join(lines).encode())


@pytest.mark.parametrize("target", ["/poll", "/poll/a", "/sse", "/sse/a"])
async def test_a_preflight_says_what_is_allowed(embedded: EmbeddedFactory, target: str) -> None:
    (gateway,) = await embedded(1, allowed_origins=(PAGE,))
    wanted = "Access-Control-Request-Headers: authorization,last-event-id,x-y"
    answer = await ask(gateway.port, "OPTIONS", target, f"Origin: {PAGE}", wanted)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-methods"] == "GET"
    assert answer.headers["access-control-allow-headers"] == "authorization,last-event-id,x-y"
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["vary"] == "Origin"


async def test_a_preflight_of_another_page_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=(PAGE,))
    answer = await ask(gateway.port, "OPTIONS", "/poll/a", "Origin: https://b.example")
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/poll/a?wait=0"), ("GET", "/sse/a"), ("POST", "/publish/a"), ("OPTIONS", "/publish/a")],
)
async def test_a_page_whose_name_was_pointed_here_is_refused(
    embedded: EmbeddedFactory, method: str, target: str
) -> None:
    """DNS rebinding: its `Host` is its own name. Neither can it say twice where it is from."""
    (gateway,) = await embedded(1, allowed_origins=(PAGE,))
    length = "Content-Length: 0"
    answer = await ask(gateway.port, method, target, "Origin: http://localhost", length)
    assert answer.status == 403
    assert "its own are none of them unless they are listed" in answer.text
    assert (await ask(gateway.port, method, target, f"Origin: {PAGE}", "Origin: http://y", length)).status == 400
    assert gateway.counters.messages_received == 0


async def test_other_methods_are_told_what_is_allowed(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    answer = await ask(gateway.port, "POST", "/poll/a", "Content-Length: 0")
    assert (answer.status, answer.headers["allow"], answer.text) == (405, "GET, OPTIONS", "only GET is allowed here\n")


@pytest.mark.parametrize("target", ["/poll/a?wait=0", "/publish/a", "/sse/a"])
async def test_an_origin_that_is_no_text_is_refused_like_any_other(
    embedded: EmbeddedFactory, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1)
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: http://".encode()
    answer = await send_request(gateway.port, head + b"\xff\r\n\r\n")
    assert answer.status == 403
    assert answer.text.startswith("pages of http://")
    assert not caplog.records


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/poll/a?wait=0"), ("GET", "/sse/a"), ("POST", "/publish/a"), ("POST", "/connection/http_stream")],
)
async def test_a_page_may_read_when_to_come_back(embedded: EmbeddedFactory, method: str, target: str) -> None:
    (gateway,) = await embedded(1, allowed_origins=(PAGE,), max_publishes_per_second=1, max_connections=1)
    async with RawWebSocket(gateway.port) as client:
        await client.upgrade("/ws/a")
        for _ in range(10):
            answer = await ask(gateway.port, method, target, f"Origin: {PAGE}", "Content-Length: 0")
            if answer.status in (429, 503):
                break
    assert "retry-after" in answer.headers
    assert answer.headers["access-control-expose-headers"] == "Retry-After"

"""Requests that go astray are told where to go."""

from __future__ import annotations

import pytest

from tests.conftest import EmbeddedFactory
from tests.harness.http_response import send_request
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.server_api import request

EVERY = "/connection/websocket, /connection/uni_websocket, /connection/sse, /connection/http_stream"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/", 426, 'new Centrifuge("ws://127.0.0.1/connection/websocket")'),
        ("/connection/websocket", 426, "/connection/websocket takes WebSockets of the clients of Centrifuge"),
        ("/connection/websocket?format=json", 426, 'new Centrifuge("ws://127.0.0.1/connection/websocket")'),
        ("/connection/uni_websocket", 426, "/connection/uni_websocket takes WebSockets that only listen"),
        ("/connection", 404, EVERY),
        ("/connection/webtransport", 404, EVERY),
        ("/connection/websocket/a", 404, EVERY),
        ("/nowhere", 404, "Nothing here."),
    ],
)
async def test_a_request_without_an_upgrade(
    embedded: EmbeddedFactory, method: str, target: str, status: int, reason: str
) -> None:
    (gateway,) = await embedded(1, demo="off")
    response = await send_request(gateway.port, request(target, b"", "Connection: close", method=method))
    assert (response.status, reason in response.text) == (status, True), response.text


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/connection/http_stream"), ("PUT", "/connection/sse"), ("GET", "/emulation")]
)
async def test_another_method(embedded: EmbeddedFactory, method: str, target: str) -> None:
    (gateway,) = await embedded(1)
    response = await send_request(gateway.port, request(target, b"", "Connection: close", method=method))
    assert (response.status, "POST is allowed here" in response.text) == (405, True), response.text
    assert "the Centrifuge protocol" in response.text


@pytest.mark.parametrize("target", ["/connection", "/connection/sse", "/connection/other", "/connection/websocket/a"])
async def test_a_websocket_elsewhere_below_the_endpoints(embedded: EmbeddedFactory, target: str) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        response = await client.upgrade(target)
    assert response.status == 404
    assert response.text == "no WebSocket here; clients of the Centrifuge protocol connect to /connection/websocket\n"

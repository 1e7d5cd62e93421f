"""Event streams that are refused, and why."""

from __future__ import annotations

import asyncio

import pytest

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.free_port import free_port
from tests.harness.http_response import HttpResponse, parse_head, send_request
from tests.harness.raw_websocket import RawWebSocket


async def refused(gateway: Gateway, target: str, *headers: str) -> HttpResponse:
    """Return the answer to a request that gets no stream, once the gateway has ended the connection."""
    async with EventStreamClient(gateway.port, target, *headers) as client:
        await client.to_the_end()
        return client.head


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/sse/a%20b", 400, "white space"),
        ("/sse/a?user=", 400, "user must have"),
        ("/sse/a?user=%ff", 400, "query is malformed"),
        ("/sse/a#b", 400, "request target"),
        ("/ssex", 404, "Nothing here"),
    ],
)
async def test_a_refusal_says_why(embedded: EmbeddedFactory, target: str, status: int, reason: str) -> None:
    (gateway,) = await embedded(1)
    answer = await refused(gateway, target)
    assert answer.status == status
    assert reason in answer.text


async def test_a_malformed_request_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    for head in (
        "GET /sse/a HTTP/1.1\r\nHost : x",
        "GET /sse/a HTTP/1.1\r\nbroken",
        "GET /sse/a\r\nHost: localhost",
        "GET /sse/a x HTTP/1.1\r\nHost: localhost",
        "GET /sse/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3",
        "GET /sse/a HTTP/1.1",
        "GET /sse/a#b HTTP/1.1\r\nHost: localhost",
        "GET ftp://x/sse/a HTTP/1.1\r\nHost: localhost",
        "GET /sse/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked",
        "GET /sse/a HTTP/1.1\r\nHost: localhost\r\nHost: localhost",
        "GET /sse/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\nOrigin: http://y",
        "GET /sse/" + "a" * 9000 + " HTTP/1.1\r\nHost: localhost",
    ):
        assert (await send_request(gateway.port, f"{head}\r\n\r\n".encode())).status == 400, head
    assert gateway.counters.connections_accepted == 0


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
async def test_other_methods_are_not_allowed(embedded: EmbeddedFactory, method: str) -> None:
    (gateway,) = await embedded(1)
    request = f"{method} /sse/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request.encode())
    status, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
    assert (status, headers["allow"]) == (405, "GET, OPTIONS")
    assert (await reader.read() == b"") is (method == "HEAD")
    writer.close()
    await writer.wait_closed()


async def test_a_full_gateway_counts_streams_and_refuses_them(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_connections=1)
    async with EventStreamClient(gateway.port, "/sse/a"):
        answer = await refused(gateway, "/sse/a")
        assert (answer.status, answer.text) == (503, "this gateway is full\n")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
        async with RawWebSocket(gateway.port) as raw:
            assert (await raw.upgrade("/ws/a")).status == 503
    await wait_until(lambda: gateway.counters.connections_open == 0)
    async with EventStreamClient(gateway.port, "/sse/a") as client:
        assert client.head.status == 200


async def test_without_a_bus_nobody_is_let_in(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=f"redis://127.0.0.1:{free_port()}", broker_timeout=0.2)
    answer = await refused(gateway, "/sse/a", "Origin: http://127.0.0.1:" + str(gateway.port))
    assert answer.status == 503
    assert "retry-after" in answer.headers
    assert "bus" in answer.text


async def test_pages_of_other_sites_need_a_setting(embedded: EmbeddedFactory) -> None:
    own, listed, open_to_all = [
        (await embedded(1, allowed_origins=origins))[0] for origins in (None, ("https://a.example",), ("*",))
    ]
    for gateway, allowed in ((own, None), (listed, "https://a.example"), (open_to_all, "*")):
        if allowed is None:
            async with EventStreamClient(gateway.port, "/sse/a", f"Origin: http://127.0.0.1:{gateway.port}") as client:
                assert client.head.status == 200
            answer = await refused(gateway, "/sse/a", "Origin: https://a.example")
            assert answer.status == 403
            assert "RELAY_ALLOWED_ORIGINS" in answer.text
            assert "access-control-allow-origin" not in answer.headers
            continue
        async with EventStreamClient(gateway.port, "/sse/a", "Origin: https://a.example") as client:
            assert client.head.status == 200
            assert client.head.headers["access-control-allow-origin"] == allowed
        # The page may read why it is refused, too.
        answer = await refused(gateway, "/sse/a%20b", "Origin: https://a.example")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (400, allowed)
    assert (await refused(listed, "/sse/a", "Origin: https://b.example")).status == 403


async def test_a_page_may_read_that_the_gateway_is_full(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=("*",), max_connections=1)
    async with EventStreamClient(gateway.port, "/sse/a"):
        answer = await refused(gateway, "/sse/a", "Origin: https://a.example")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (503, "*")

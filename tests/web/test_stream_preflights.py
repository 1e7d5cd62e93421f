"""Event streams that begin on a connection that has served something else before."""

from __future__ import annotations

import asyncio

import pytest

from relay import Gateway
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.event_source import Event, EventParser
from tests.harness.http_response import get, parse_head, read_response
from tests.harness.inside import parts_of
from tests.harness.websocket_client import connected

POLL = b"GET /poll/b?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def events(reader: asyncio.StreamReader, parser: EventParser, count: int) -> list[str | bytes]:
    """Read until so many events have come; return their messages."""
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            found += parser.feed(await reader.read(65536))
    return [event.payload for event in found]


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_kept_connection_becomes_a_stream(gateways: GatewayFactory, event_loop: str) -> None:
    """As a browser does it whose page has polled or published before."""
    (gateway,) = await gateways(1, event_loop=event_loop)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(2):
        writer.write(POLL)
        assert (await read_response(reader)).status == 200
    writer.write(b"GET /sse/a?user=ann HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n")
    status, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        parser = EventParser()
        for number in range(3):
            await sender.send(f"{number}")
            assert await events(reader, parser, 1) == [f"{number}"]
    writer.close()
    await writer.wait_closed()


def handlers() -> set[str]:
    """Return the tasks that are none of the gateway's own, which have names."""
    return {name for task in asyncio.all_tasks() if not (name := task.get_name()).startswith("relay ")}


async def test_aiohttp_forgets_the_connection(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    before = handlers()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(POLL)
    await read_response(reader)
    assert len(parts.front_door.http.server.connections) == 1
    writer.write(b"GET /sse/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\n\n")
    await wait_until(lambda: not parts.front_door.http.server.connections)
    assert not parts.front_door.http.connections
    assert (gateway.counters.event_streams_open, parts.front_door.sockets) == (1, 1)
    await wait_until(lambda: handlers() == before)
    writer.close()
    await writer.wait_closed()
    await wait_until(lambda: gateway.counters.event_streams_open == 0)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /sse/a%20b HTTP/1.1", 400),
        ("GET /sse/a?user= HTTP/1.0", 400),
        ("GET ftp://x/sse/a HTTP/1.1", 400),
        ("GET /sse#a HTTP/1.1", 400),
        ("GET /%73se/a HTTP/1.1", 404),
    ],
)
async def test_a_kept_connection_is_refused_as_a_new_one_is(
    embedded: EmbeddedFactory, request_line: str, status: int
) -> None:
    (gateway,) = await embedded(1)
    assert await second_answer(gateway, request_line) == status


@pytest.mark.parametrize(("target", "status"), [("/sse#a", 400), ("/sse#/a", 400), ("/%73se", 404), ("//x/sse", 404)])
async def test_a_target_that_only_aiohttp_takes_for_a_stream_is_refused(
    embedded: EmbeddedFactory, target: str, status: int
) -> None:
    """Handed to and fro between the two, it would keep the gateway busy for as long as the client stays."""
    (gateway,) = await embedded(1)
    assert (await get(gateway.port, target)).status == status
    parts = parts_of(gateway)
    await wait_until(lambda: not parts.front_door.sockets)


async def test_a_request_with_a_body_is_no_stream(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    assert await second_answer(gateway, "GET /sse/a HTTP/1.1\r\nContent-Length: 3") == 400


async def second_answer(gateway: Gateway, request_line: str) -> int:
    """Return the status of a second request over a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(POLL)
    await read_response(reader)
    writer.write(f"{request_line}\r\nHost: localhost\r\n\r\n".encode())
    answer = await read_response(reader)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    return answer.status

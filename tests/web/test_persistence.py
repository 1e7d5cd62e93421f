"""Which HTTP connections are kept, for how long, and what ends them."""

from __future__ import annotations

import asyncio

import pytest

from relay.web import body
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.http_response import read_response
from tests.harness.inside import parts_of
from tests.harness.server_api import KEY, request
from tests.web.exchange import INFO, PUBLISH, keep_open


async def test_connections_of_back_ends_are_kept_and_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY)
    parts = parts_of(gateway)
    async with keep_open(gateway) as kept:
        for _ in range(20):
            assert (await kept.ask(INFO)).status == 200
            assert (await kept.ask(PUBLISH)).status == 200
        assert parts.front_door.sockets == 1
    await wait_until(lambda: parts.front_door.sockets == 0)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("/healthz", method="GET"), 200),
        (request("/api/info", b"{}", "X-API-Key: wrong"), 401),
        (request("/publish/a%20b", b"x"), 400),
        (request("/nowhere", b"x"), 404),
        (request("/api/info", b"{}", f"X-API-Key: {KEY}", "Connection: close"), 200),
    ],
)
async def test_all_other_answers_end_the_connection_and_say_so(
    embedded: EmbeddedFactory, data: bytes, status: int
) -> None:
    (gateway,) = await embedded(1, api_keys=KEY)
    async with keep_open(gateway) as once:
        response = await once.ask(data)
        assert (response.status, response.headers["connection"]) == (status, "close")
        assert await once.ended()


async def test_pipelined_requests_are_answered_in_order(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY)
    async with keep_open(gateway) as kept:
        kept.writer.write(PUBLISH * 50 + INFO)
        answers = [await kept.answer() for _ in range(51)]
    assert [answer.status for answer in answers] == [200] * 51
    assert "result" in answers[-1].json
    assert gateway.counters.messages_published >= 50


async def test_an_idle_connection_is_closed(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY, keepalive_timeout=0.2, handshake_timeout=0.2)
    async with keep_open(gateway) as idle:
        assert (await idle.ask(INFO)).status == 200
        assert await idle.ended()
    async with keep_open(gateway) as dripping:
        assert (await dripping.ask(INFO)).status == 200
        dripping.writer.write(INFO[:20])
        assert (await dripping.answer()).status == 408
        assert await dripping.ended()


async def test_a_body_that_drips_is_given_up(embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.2)
    (gateway,) = await embedded(1, api_keys=KEY)
    for head in (
        request("/api/publish", b"{", f"X-API-Key: {KEY}", "Content-Length: 50"),
        request("/publish/a", b"x", "Content-Length: 50"),
    ):
        async with keep_open(gateway) as slow:
            response = await slow.ask(head)
            assert response.status == 408
            assert "did not arrive" in response.text
            assert response.headers["connection"] == "close"


async def test_a_client_that_leaves_with_a_body_half_sent_is_soon_forgotten(embedded: EmbeddedFactory) -> None:
    """It counts as a socket until then, and costs memory: clients could fill the gateway in this way."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request("/healthz", b"hell", "Content-Length: 5", method="GET"))
    assert (await read_response(reader)).status == 200
    writer.transport.abort()
    await wait_until(lambda: not parts.front_door.sockets, within=8)


async def test_a_connection_that_outlives_its_time_is_dropped(embedded: EmbeddedFactory) -> None:
    """Whatever it does meanwhile: bytes alone give no new time, only requests do."""
    (gateway,) = await embedded(1, api_keys=KEY)
    parts_of(gateway).front_door.http.request_seconds = 1.5
    async with keep_open(gateway) as busy, keep_open(gateway) as slow, keep_open(gateway) as refused:
        slow.writer.write(request("/api/publish", b"{", f"X-API-Key: {KEY}", "Content-Length: 50"))
        refused.writer.write(request("/nowhere", b"x", "Content-Length: 50000"))
        ending = asyncio.create_task(slow.ended())
        while not ending.done():
            assert (await busy.ask(INFO)).status == 200
        assert await ending
        await refused.ended()


async def test_draining_ends_kept_connections(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY, drain_delay=1)
    async with keep_open(gateway) as busy, keep_open(gateway) as idle:
        assert (await busy.ask(INFO)).headers.get("connection") != "close"
        assert (await idle.ask(INFO)).status == 200
        draining = asyncio.create_task(gateway.drain())
        await wait_until(lambda: gateway.problems == ["draining"])
        response = await busy.ask(PUBLISH)
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert await busy.ended()
        await draining
        assert await idle.ended()

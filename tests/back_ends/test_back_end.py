"""A back end that is asked for many clients: bounded, and left alone while it is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from relay.back_ends.back_end import MAX_PENDING_BYTES, WAITING_PER_REQUEST, BackEnd, NotAsked
from relay.back_ends.circuit import FAILURES, Circuit
from relay.back_ends.http_client import CallFailed, Failure, HttpClient
from relay.logs import Logger
from relay.metrics.counters import Histogram
from tests.back_ends.http_server import HttpServer, answering
from tests.harness.conditions import wait_until


@asynccontextmanager
async def back_end_at(
    server: HttpServer,
    concurrency: int = 1,
    circuit: Circuit | None = None,
    patience: float | None = None,
    max_pending_bytes: int = MAX_PENDING_BYTES,
) -> AsyncIterator[tuple[BackEnd, Histogram]]:
    """Yield what asks a server, and the histogram of its requests."""
    seconds = Histogram()
    client = HttpClient(server.url, timeout=60, max_bytes=1000, connections=concurrency)
    log = Logger("relay.test")
    back_end = BackEnd(client, "the oracle", concurrency, seconds, log, circuit, patience, max_pending_bytes)
    await back_end.open()
    try:
        yield back_end, seconds
    finally:
        await back_end.close()


async def test_it_is_asked_and_each_request_is_measured() -> None:
    async with HttpServer(answering(200, {"a": 1})) as server, back_end_at(server) as (back_end, seconds):
        reply = await back_end.post(b"{}", {"X-Device": "phone"}, (200,))
        assert (reply.status, reply.body) == (200, b'{"a": 1}')
        assert server.headers[0]["x-device"] == "phone"
        server.handler = answering(500, {})
        with pytest.raises(CallFailed) as caught:
            await back_end.post(b"{}", {}, (200,))
        assert caught.value.failure is Failure.STATUS
        assert (seconds.count, back_end.pending, back_end.notes) == (2, 0, [])


async def test_one_that_is_down_is_left_alone_for_a_pause() -> None:
    now = 0.0
    circuit = Circuit(lambda: now, lambda: 1.0)
    async with HttpServer(answering(200, {})) as server, back_end_at(server, circuit=circuit) as (back_end, seconds):
        await server.stop()
        for _ in range(FAILURES):
            with pytest.raises(CallFailed):
                await back_end.post(b"{}", {}, (200,))
        assert back_end.notes == [f"the oracle, 127.0.0.1:{server.port}, is down: Connection refused"]
        await server.start()
        with pytest.raises(NotAsked) as caught:
            await back_end.post(b"{}", {}, (200,))
        assert (caught.value.reason, server.requests, seconds.count) == ("down", 0, FAILURES)
        now = 10.0
        await back_end.post(b"{}", {}, (200,))
        assert back_end.notes == []


async def test_those_that_wait_are_told_when_it_turns_out_to_be_down() -> None:
    now, go_on = 0.0, asyncio.Event()
    circuit = Circuit(lambda: now, lambda: 1.0)

    async def wait(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with HttpServer(wait) as server, back_end_at(server, circuit=circuit) as (back_end, _):
        for _ in range(FAILURES - 1):
            circuit.failed()
        asking = [asyncio.create_task(back_end.post(b"{}", {}, (200,))) for _ in range(3)]
        await wait_until(lambda: back_end.pending == 3 and server.at_once == 1)
        go_on.set()
        ends = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(end) for end in ends] == [CallFailed, NotAsked, NotAsked]


async def test_so_many_wait_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    go_on = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.json_response({})

    async with HttpServer(wait) as server, back_end_at(server, concurrency=2) as (back_end, _):
        most = 2 * (1 + WAITING_PER_REQUEST)
        asking = [asyncio.create_task(back_end.post(b"{}", {}, (200,))) for _ in range(most)]
        await wait_until(lambda: back_end.pending == most and server.at_once == 2)
        with pytest.raises(NotAsked) as caught:
            await back_end.post(b"{}", {}, (200,))
        assert caught.value.reason == "busy"
        assert f"too many clients wait for the back end back_end=127.0.0.1:{server.port} waiting={most}" in caplog.text
        asking.pop().cancel()
        await wait_until(lambda: back_end.pending == most - 1)
        go_on.set()
        await asyncio.gather(*asking)
        assert (server.most_at_once, back_end.pending) == (2, 0)


async def test_so_many_bytes_wait_and_no_more() -> None:
    """Clients may send any number of large questions while it hangs: all of them are in memory."""
    go_on = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.json_response({})

    async with HttpServer(wait) as server, back_end_at(server, max_pending_bytes=1000) as (back_end, _):
        asking = [asyncio.create_task(back_end.post(bytes(500), {}, (200,))) for _ in range(2)]
        await wait_until(lambda: back_end.pending == 2)
        with pytest.raises(NotAsked) as caught:
            await back_end.post(b"1", {}, (200,))
        assert caught.value.reason == "busy"
        asking.pop().cancel()
        await wait_until(lambda: back_end.pending == 1)
        asking.append(asyncio.create_task(back_end.post(bytes(500), {}, (200,))))
        go_on.set()
        await asyncio.gather(*asking)
        assert (await back_end.post(bytes(1001), {}, (200,))).status == 200, "one alone may be larger"


async def test_a_large_body_is_sent_in_pieces() -> None:
    """aiohttp warns of one that is not, which is an error here."""
    async with HttpServer(answering(200, {})) as server, back_end_at(server) as (back_end, _):
        with pytest.raises(CallFailed, match="413"):
            await back_end.post(bytes(2 * 1024 * 1024), {}, (200,))


async def test_who_has_waited_for_too_long_is_not_asked_for() -> None:
    go_on = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.json_response({})

    async with HttpServer(wait) as server, back_end_at(server, patience=0.05) as (back_end, seconds):
        first = asyncio.create_task(back_end.post(b"{}", {}, (200,)))
        await wait_until(lambda: server.at_once == 1)
        with pytest.raises(NotAsked) as caught:
            await back_end.post(b"{}", {}, (200,))
        assert caught.value.reason == "busy"
        go_on.set()
        assert (await first).status == 200
        assert (await back_end.post(b"{}", {}, (200,))).status == 200
        assert (server.requests, seconds.count, back_end.pending) == (2, 2, 0)


async def test_who_waits_in_vain_while_places_are_free_has_taken_its_own_share(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.json_response({})

    async with HttpServer(wait) as server, back_end_at(server, concurrency=2, patience=0.05) as (back_end, _):
        asking = [asyncio.create_task(back_end.post(b"{}", {}, (200,), ("ann",)))]
        await wait_until(lambda: server.at_once == 1)
        with pytest.raises(NotAsked) as caught:
            await back_end.post(b"{}", {}, (200,), ("ann",))
        assert caught.value.own_share
        assert "too many clients" not in caplog.text
        asking.append(asyncio.create_task(back_end.post(b"{}", {}, (200,), ("bob",))))
        await wait_until(lambda: server.at_once == 2)
        with pytest.raises(NotAsked) as caught:
            await back_end.post(b"{}", {}, (200,), ("ann",))
        assert not caught.value.own_share
        assert "too many clients wait for the back end" in caplog.text
        go_on.set()
        await asyncio.gather(*asking)

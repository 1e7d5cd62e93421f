"""A back end that answers calls of clients: what they get, whatever it does."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from websockets.datastructures import Headers

from relay import Settings
from relay.back_ends.back_end import WAITING_PER_REQUEST
from relay.back_ends.circuit import FAILURES
from relay.errors import Refused
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.rpc import MAX_ANSWER_BYTES, RpcBackEnd, make_rpc
from relay.rpc_call import Rpc, RpcCall, RpcDisconnect, RpcError, RpcFailed, RpcNotAvailable
from tests.back_ends.http_server import Handler, HttpServer, answering, drip, hang
from tests.harness.conditions import wait_until
from tests.rpc.calls import CLIENT, call

PRICE = answering(200, {"result": {"data": {"price": 4}}})
TOKEN = "s3cret-t0ken"


@asynccontextmanager
async def rpc_of(
    server: HttpServer, *, by_user: bool = False, **given: Any
) -> AsyncIterator[tuple[RpcBackEnd, Counters]]:
    """Yield what asks a server, and its counters; its time-out is no matter unless a test says so."""
    counters = Counters()
    rpc = make_rpc(Settings(**{"rpc_url": server.url, "rpc_timeout": 60, **given}), counters, by_user=by_user)
    await rpc.open()
    try:
        yield rpc, counters
    finally:
        await rpc.close()


async def failure_of(rpc: Rpc, what: RpcCall) -> str:
    """Return the outcome of a call that fails."""
    with pytest.raises(RpcFailed) as caught:
        await rpc.call(what)
    assert caught.value.outcome in str(caught.value)
    return caught.value.outcome


async def test_it_answers_calls() -> None:
    async with HttpServer(PRICE) as server, rpc_of(server) as (rpc, counters):
        assert await rpc.call(call()) == b'{"price":4}'
        assert counters.rpc_calls == {"answered": 1}
        assert counters.rpc_call_seconds.count == 1
        body = json.loads(server.bodies[0])
        assert (body["client"], body["user"], body["method"], body["data"]) == (CLIENT, "ann", "price", {"of": "tea"})
        (headers,) = server.headers
        assert (headers["content-type"], headers["x-forwarded-for"]) == ("application/json", "203.0.113.7")


async def test_any_bytes_go_there_and_back_for_clients_that_take_them() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response({"result": {"b64data": (await request.json())["b64data"]}})

    sent = bytes(range(256))
    async with HttpServer(echo) as server, rpc_of(server) as (rpc, _):
        assert await rpc.call(call(data=sent, binary=True, protocol="protobuf")) == sent


async def test_it_may_answer_with_an_error_and_close_the_client() -> None:
    answer = {"error": {"code": 1000, "message": "no such tea", "temporary": True}}
    async with HttpServer(answering(200, answer)) as server, rpc_of(server) as (rpc, counters):
        with pytest.raises(RpcError) as refused:
            await rpc.call(call())
        assert (refused.value.code, refused.value.message, refused.value.temporary) == (1000, "no such tea", True)
        server.handler = answering(200, {"disconnect": {"code": 4500, "reason": "go away"}})
        with pytest.raises(RpcDisconnect) as closed:
            await rpc.call(call())
        assert (closed.value.code, closed.value.reason) == (4500, "go away")
        assert counters.rpc_calls == {"error": 1, "disconnect": 1}


async def test_without_a_back_end_there_are_no_calls() -> None:
    counters = Counters()
    rpc = make_rpc(Settings(), counters, by_user=False)
    await rpc.open()
    with pytest.raises(RpcNotAvailable, match="no back end answers calls"):
        await rpc.call(call())
    assert rpc.headers_of(ConnectRequest("/", {}, {"X-Device": "phone"}, "203.0.113.7")) == {}
    assert (rpc.notes, counters.rpc_calls) == ([], {})
    await rpc.close()


FAILURES_OF_IT: list[tuple[str, Handler, str]] = [
    ("500", answering(500, text=f"Traceback: {TOKEN}"), "status"),
    ("404", answering(404, {}), "status"),
    ("201", answering(201, {"result": {}}), "status"),
    ("redirect", answering(302, {}, Location="/elsewhere"), "redirect"),
    ("10 MB", answering(200, text="x" * 10_000_000), "too_large"),
    ("compressed", answering(200, text="{}", Content_Encoding="gzip"), "malformed"),
    ("no JSON", answering(200, text=TOKEN), "malformed"),
    ("empty", answering(200, text=""), "malformed"),
    ("no result", answering(200, {"data": TOKEN}), "malformed"),
    ("a wrong code", answering(200, {"error": {"code": 7, "message": TOKEN}}), "malformed"),
    ("binary for JSON", answering(200, {"result": {"b64data": "AAH/"}}), "malformed"),
]


@pytest.mark.parametrize(("name", "handler", "outcome"), FAILURES_OF_IT, ids=[case[0] for case in FAILURES_OF_IT])
async def test_whatever_it_does_wrong_is_a_failure_for_now(
    name: str, handler: Handler, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with HttpServer(handler) as server, rpc_of(server) as (rpc, counters):
        secret = call(data=f'"{TOKEN}"'.encode(), headers={"Authorization": TOKEN}, meta=f'"{TOKEN}"'.encode())
        assert await failure_of(rpc, secret) == outcome
        assert (counters.rpc_calls, server.requests) == ({outcome: 1}, 1)
        (entry,) = [text for record in caplog.records if "has not answered a call" in (text := record.getMessage())]
        assert f"back_end=127.0.0.1:{server.port} failure={outcome}" in entry
        assert TOKEN not in caplog.text
        server.handler = PRICE
        assert await rpc.call(call()) == b'{"price":4}'


async def test_an_answer_may_be_as_large_as_it_says() -> None:
    least = len('{"result": {"data": ""}}')
    async with HttpServer(PRICE) as server, rpc_of(server) as (rpc, _):
        server.handler = answering(200, {"result": {"data": "x" * (MAX_ANSWER_BYTES - least)}})
        assert len(await rpc.call(call())) == MAX_ANSWER_BYTES - least + 2
        server.handler = answering(200, {"result": {"data": "x" * (MAX_ANSWER_BYTES - least + 1)}})
        assert await failure_of(rpc, call()) == "too_large"


@pytest.mark.parametrize("handler", [hang, drip])
async def test_one_that_takes_too_long_is_given_up(handler: Handler) -> None:
    async with HttpServer(handler) as server, rpc_of(server, rpc_timeout=0.1) as (rpc, counters):
        assert await failure_of(rpc, call()) == "timeout"
        assert counters.rpc_calls == {"timeout": 1}
        await wait_until(lambda: server.at_once == 0)


async def test_no_call_is_made_twice() -> None:
    """It may have been done when the connection breaks, a new or a kept one."""

    async def close(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with HttpServer(close) as server, rpc_of(server) as (rpc, _):
        assert await failure_of(rpc, call()) == "unreachable"
        assert server.requests == 1
        server.handler = PRICE
        await rpc.call(call())
        server.handler = close
        assert await failure_of(rpc, call()) == "unreachable"
        assert server.requests == 3


async def test_one_that_dies_and_comes_back() -> None:
    async with HttpServer(PRICE) as server, rpc_of(server) as (rpc, counters):
        await rpc.call(call())
        await server.stop()
        for _ in range(FAILURES):
            assert await failure_of(rpc, call()) == "unreachable"
        assert rpc.notes == [f"the back end that answers calls, 127.0.0.1:{server.port}, is down: Connection refused"]

        async def left_alone() -> bool:
            return await failure_of(rpc, call()) == "down"

        await wait_until(left_alone)
        assert counters.rpc_calls["down"] == 1
        await server.start()

        async def answered() -> bool:
            try:
                return await rpc.call(call()) == b'{"price":4}'
            except RpcFailed:
                return False

        await wait_until(answered)
        assert rpc.notes == []


async def test_calls_at_once_and_calls_that_wait_are_bounded() -> None:
    go_on = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return await PRICE(request)

    async with HttpServer(wait) as server, rpc_of(server, rpc_concurrency=2) as (rpc, counters):
        most = 2 * (1 + WAITING_PER_REQUEST)
        calls = [call(client=f"{number:032x}", remote="192.0.2.1") for number in range(most)]
        calling = [asyncio.create_task(rpc.call(one)) for one in calls]
        await wait_until(lambda: server.at_once == 2)
        assert await failure_of(rpc, call()) == "busy"
        go_on.set()
        assert set(await asyncio.gather(*calling)) == {b'{"price":4}'}
        assert server.most_at_once == 2
        assert counters.rpc_calls == {"busy": 1, "answered": most}


@pytest.mark.parametrize(("same", "at_once", "refused"), [("client", 2, 22), ("user", 3, 14), ("address", 3, 14)])
async def test_a_client_that_calls_something_slow_leaves_places_to_others(
    same: str, at_once: int, refused: int
) -> None:
    """However often it calls, and however many clients it is: they have one user, or one address."""
    remote = "10.0.0.1" if same == "user" else "8.8.8.8"
    clients = [f"{0 if same == 'client' else number:032x}" for number in range(44)]
    slow = [call(method="slow", user="eve", remote=remote, client=client) for client in clients]

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (hang if b'"slow"' in server.bodies[-1] else PRICE)(request)

    by_user = same == "user"
    async with HttpServer(answer) as server, rpc_of(server, by_user=by_user, rpc_concurrency=4) as (rpc, counters):
        calling = [asyncio.create_task(rpc.call(one)) for one in slow]
        await wait_until(lambda: server.at_once == at_once and sum(one.done() for one in calling) == refused)
        for number in range(100):
            assert await rpc.call(call(client=f"{number + 100:032x}", remote="1.1.1.1")) == b'{"price":4}'
        assert server.most_at_once == at_once + 1
        assert counters.limits_reached == {"calls": refused}
        assert counters.rpc_calls == {"busy": refused, "answered": 100}
        for one in calling:
            one.cancel()
        await asyncio.gather(*calling, return_exceptions=True)
        assert set(await asyncio.gather(*(rpc.call(call(remote="8.8.8.8")) for _ in range(22)))) == {b'{"price":4}'}


async def test_the_call_of_a_client_that_has_left_is_given_up() -> None:
    async with HttpServer(hang) as server, rpc_of(server) as (rpc, counters):
        calling = asyncio.create_task(rpc.call(call()))
        await wait_until(lambda: server.at_once == 1)
        calling.cancel()
        await wait_until(lambda: server.at_once == 0)
        assert counters.rpc_calls == {"left": 1}


async def test_what_is_passed_on_is_listed_in_the_settings() -> None:
    given: dict[str, Any] = {"rpc_headers": "X-Device,X-Forwarded-For", "rpc_cookies": "session"}
    headers = Headers({"X-Device": "phone", "X-Other": "1", "Cookie": "a=1; session=4f1c", "X-Forwarded-For": "::1"})
    async with HttpServer(PRICE) as server, rpc_of(server, **given) as (rpc, _):
        picked = rpc.headers_of(ConnectRequest("/", {}, headers, "203.0.113.7"))
        await rpc.call(call(headers=picked))
        (got,) = server.headers
        assert (got["x-device"], got["cookie"], got["x-forwarded-for"]) == ("phone", "session=4f1c", "203.0.113.7")
        assert "x-other" not in got
        with pytest.raises(Refused):
            rpc.headers_of(ConnectRequest("/", {}, {"X-Device": "a\r\nX-Admin: 1"}, "203.0.113.7"))


async def test_a_flood_of_failures_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with HttpServer(answering(500, {})) as server, rpc_of(server) as (rpc, counters):
        with caplog.at_level(logging.WARNING):
            await asyncio.gather(*(failure_of(rpc, call()) for _ in range(100)))
        assert counters.rpc_calls == {"status": 100}
        assert 1 <= caplog.text.count("has not answered a call") <= 20


def test_a_url_without_tls_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make_rpc(Settings(rpc_url="http://back-end:9000/rpc"), Counters(), by_user=False)
    assert "URL without TLS variable=RELAY_RPC_URL" in caplog.text

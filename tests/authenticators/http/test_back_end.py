"""A back end that decides about clients, at a whole gateway."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from relay import Gateway, Settings
from relay.auth.authenticator import RemoteAuthenticator
from relay.authenticators.http import HttpAuthenticator
from relay.back_ends.back_end import BackEnd
from relay.back_ends.circuit import FAILURES
from tests.back_ends.http_server import Handler, HttpServer, answering, hang
from tests.gateway.admissions import SUBSCRIBERS, WAYS, every_way, refusals, success
from tests.harness.conditions import wait_until
from tests.harness.http_response import HttpResponse, get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket

TOKEN = "s3cret-t0ken"
ANN = {"user": "ann", "channels": {"*": "rw"}}


@asynccontextmanager
async def gateway_with(back_end: HttpServer, **given: Any) -> AsyncIterator[Gateway]:
    """Run a gateway that asks a back end; its own time-outs are no matter unless a test says so."""
    patient = {"handshake_timeout": 120, "auth_timeout": 60}
    settings = {"port": 0, "drain_seconds": 0, "ping_interval": 3600, "allowed_origins": ("https://page.example",)}
    async with Gateway(
        Settings(**{**settings, **patient, "auth": "http", "auth_url": back_end.url, **given})
    ) as gateway:
        yield gateway


async def ask(gateway: Gateway, way: str = "poll", token: str | None = TOKEN) -> HttpResponse:
    """Send a request with a token, and return its answer."""
    head = WAYS[way]
    if token is not None:
        head = head.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {token}\r\n\r\n".encode(), 1)
    async with RawWebSocket(gateway.port) as client:
        await client.send(head)
        return await client.response()


def outcomes(gateway: Gateway) -> dict[str, int]:
    """Return how the requests to the back end have ended."""
    return dict(gateway.counters.auth_requests)


def back_end_of(gateway: Gateway) -> BackEnd:
    """Return what a gateway asks."""
    authenticator = gateway._authenticator
    assert isinstance(authenticator, HttpAuthenticator)
    return authenticator._back_end


@every_way
async def test_it_lets_clients_in(way: str) -> None:
    async with HttpServer(answering(200, ANN)) as back_end, gateway_with(back_end) as gateway:
        assert (await ask(gateway, way)).status == success(way)
        assert outcomes(gateway) == {"allowed": 1}
        assert gateway.counters.auth_request_seconds.count == 1
        assert back_end.headers[0]["authorization"] == f"Bearer {TOKEN}"
        path = WAYS[way].split()[1].decode().partition("?")[0]
        assert json.loads(back_end.bodies[0]) == {"path": path, "remote": "127.0.0.1", "parameters": {}}


async def test_what_it_says_of_a_client_holds() -> None:
    answer = {"user": "ann", "channels": {"a": "r"}, "info": {"name": "Ann"}, "ttl": 1000}
    async with (
        HttpServer(answering(200, answer)) as back_end,
        gateway_with(back_end) as gateway,
        RawWebSocket(gateway.port) as client,
    ):
        await client.send(WAYS["websocket"])
        assert (await client.response()).status == 101
        (member,) = parts_of(gateway).context.registry
        assert member.session.user == "ann"
        assert (await ask(gateway, "publish")).status == 403, "it may only listen"
        refused = await get(gateway.port, "/poll/b?wait=0")
        assert refused.status == 403


@every_way
@pytest.mark.parametrize("status", [401, 403])
async def test_it_refuses_clients(way: str, status: int) -> None:
    answer = answering(status, {"reason": "your account is closed"})
    async with HttpServer(answer) as back_end, gateway_with(back_end) as gateway:
        response = await ask(gateway, way)
        assert (response.status, response.text) == (status, "your account is closed\n")
        assert ("www-authenticate" in response.headers) == (status == 401)
        assert outcomes(gateway) == {"refused": 1}
        if way != "publish":
            assert refusals(gateway, way) == {"refused": 1}


FAILURES_OF_IT: list[tuple[str, Handler, str]] = [
    ("500", answering(500, text="Traceback: s3cret-t0ken"), "status"),
    ("404", answering(404, {}), "status"),
    ("204", answering(204, text=""), "status"),
    ("redirect", answering(302, {}, Location="/elsewhere"), "redirect"),
    ("10 MB", answering(200, text="x" * 10_000_000), "too_large"),
    ("no JSON", answering(200, text="s3cret-t0ken"), "malformed"),
    ("empty", answering(200, text=""), "malformed"),
    ("a list", answering(200, [1]), "malformed"),
    ("a number as user", answering(200, {"user": 7}), "malformed"),
    ("an unknown member", answering(200, {"error": "s3cret-t0ken is no token"}), "malformed"),
    ("wrong rights", answering(200, {"channels": {"*": "everything"}}), "malformed"),
]


@pytest.mark.parametrize(("name", "handler", "outcome"), FAILURES_OF_IT, ids=[case[0] for case in FAILURES_OF_IT])
async def test_whatever_it_does_wrong_is_a_refusal_for_now(
    name: str, handler: Handler, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With 503 and to be tried again: nobody is let in by mistake, nobody is sent to log in anew."""
    async with HttpServer(handler) as back_end, gateway_with(back_end) as gateway:
        response = await ask(gateway)
        assert (response.status, "retry-after" in response.headers) == (503, True)
        assert response.text == "the back end that decides about clients gives no answer now\n"
        assert outcomes(gateway) == {outcome: 1}
        assert gateway.counters.connections_refused == {"back_end_unavailable": 1}
        (entry,) = [record.getMessage() for record in caplog.records if "has not decided" in record.getMessage()]
        assert f"failure={outcome}" in entry
        assert "s3cret" not in caplog.text
        back_end.handler = answering(200, ANN)
        assert (await ask(gateway)).status == 200


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_one_that_hangs_is_given_up(way: str) -> None:
    async with HttpServer(hang) as back_end, gateway_with(back_end, auth_timeout=0.1) as gateway:
        assert (await ask(gateway, way)).status == 503
        assert outcomes(gateway) == {"timeout": 1}
        await wait_until(lambda: back_end.at_once == 0)


async def test_one_that_dies_and_comes_back() -> None:
    async with HttpServer(answering(200, ANN)) as back_end, gateway_with(back_end) as gateway:
        assert (await ask(gateway)).status == 200
        await back_end.stop()
        for _ in range(FAILURES):
            assert (await ask(gateway)).status == 503
        assert outcomes(gateway) == {"allowed": 1, "unreachable": FAILURES}
        ready = await get(gateway.port, "/readyz")
        assert ready.json["ready"]
        assert ready.json["notes"] == [
            f"the back end that decides about clients, 127.0.0.1:{back_end.port}, is down: Connection refused"
        ]
        await back_end.start()

        async def let_in() -> bool:
            return (await ask(gateway)).status == 200

        await wait_until(let_in)
        assert gateway.notes == []


async def test_one_that_is_down_is_not_asked_by_every_client() -> None:
    async with HttpServer(hang) as back_end, gateway_with(back_end, auth_timeout=0.1) as gateway:
        await asyncio.gather(*(ask(gateway) for _ in range(FAILURES)))
        asked = back_end.requests
        answers = await asyncio.gather(*(ask(gateway) for _ in range(50)))
        assert {answer.status for answer in answers} == {503}
        assert outcomes(gateway)["down"] >= 40
        assert back_end.requests - asked <= 10, "once in each pause"


async def test_errors_that_a_client_can_cause_keep_no_other_client_out() -> None:
    """A back end that fails for one token must go on to be asked about the others."""

    async def decide(request: web.Request) -> web.StreamResponse:
        return await (answering(500, {}) if "evil" in request.headers["Authorization"] else answering(200, ANN))(
            request
        )

    async with HttpServer(decide) as back_end, gateway_with(back_end) as gateway:
        for _ in range(3 * FAILURES):
            assert (await ask(gateway, token="evil")).status == 503
        assert (await ask(gateway)).status == 200
        assert "down" not in outcomes(gateway)


async def test_requests_at_once_and_clients_that_wait_are_bounded() -> None:
    """Further clients are refused at once, and those that leave make room."""
    go_on = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.json_response(ANN)

    async with HttpServer(wait) as back_end, gateway_with(back_end, auth_concurrency=2) as gateway:
        waiting = [asyncio.create_task(ask(gateway, "websocket")) for _ in range(22)]
        await wait_until(lambda: back_end_of(gateway).pending == 22 and back_end.at_once == 2)
        assert (await ask(gateway, "websocket")).status == 503
        assert outcomes(gateway) == {"busy": 1}
        waiting.pop().cancel()
        await wait_until(lambda: back_end_of(gateway).pending == 21)
        waiting.append(asyncio.create_task(ask(gateway, "websocket")))
        await wait_until(lambda: back_end_of(gateway).pending == 22)
        go_on.set()
        answers = await asyncio.gather(*waiting)
        assert {answer.status for answer in answers} == {101}
        assert back_end.most_at_once == 2
        assert back_end_of(gateway).pending == 0


async def test_all_clients_are_asked_about_at_once() -> None:
    """A back end that takes its time doesn't make them wait for each other. Four open files each: no more than 150."""
    everybody, go_on = 150, asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        if back_end.at_once == everybody:
            go_on.set()
        await go_on.wait()
        return web.json_response(ANN)

    async with HttpServer(wait) as back_end, gateway_with(back_end, auth_concurrency=everybody) as gateway:
        answers = await asyncio.gather(*(ask(gateway) for _ in range(everybody)))
        assert {answer.status for answer in answers} == {200}
        assert back_end.most_at_once == everybody


async def test_answers_count_again_for_some_seconds() -> None:
    async with HttpServer(answering(200, ANN)) as back_end, gateway_with(back_end, auth_cache=3600) as gateway:
        for _ in range(3):
            assert (await ask(gateway)).status == 200
        assert (await ask(gateway, token="another")).status == 200
        assert back_end.requests == 2
        assert outcomes(gateway) == {"allowed": 2, "cached": 2}
        for _ in range(2):
            assert (await ask(gateway, token=None)).status == 200
        assert back_end.requests == 4, "without a credential all clients would be one"


async def test_refusals_count_again_and_failures_do_not() -> None:
    refusing = answering(403, {"reason": "no"})
    async with HttpServer(refusing) as back_end, gateway_with(back_end, auth_cache=3600) as gateway:
        answers = [await ask(gateway) for _ in range(2)]
        assert [(answer.status, answer.text) for answer in answers] == [(403, "no\n")] * 2
        assert back_end.requests == 1
        back_end.handler = answering(500, {})
        assert (await ask(gateway, token="another")).status == 503
        back_end.handler = answering(200, ANN)
        assert (await ask(gateway, token="another")).status == 200


async def test_what_is_passed_on_is_listed_in_the_settings() -> None:
    given = {"auth_headers": "X-Device", "auth_cookies": "sessionid", "auth_parameters": "room"}
    async with HttpServer(answering(200, ANN)) as back_end, gateway_with(back_end, **given) as gateway:
        sent = [f"Authorization: Bearer {TOKEN}", "X-Device: phone", "X-Other: 1", "Cookie: a=1; sessionid=abc; b=2"]
        assert (await get(gateway.port, "/poll/a?wait=0&room=7", headers=sent)).status == 200
        (got,) = back_end.headers
        assert (got["x-device"], got["cookie"]) == ("phone", "sessionid=abc")
        assert {"authorization", "x-other"}.isdisjoint(got)
        assert json.loads(back_end.bodies[0])["parameters"] == {"room": "7"}


async def test_no_header_can_be_smuggled_in() -> None:
    async with HttpServer(answering(200, ANN)) as back_end, gateway_with(back_end) as gateway:
        for token in ("a%0d%0aX-Admin:%201", "a%00b", "%ff", "a%0ab"):
            response = await get(gateway.port, f"/poll/a?wait=0&token={token}")
            assert response.status in (400, 401)
        assert back_end.requests == 0


async def test_a_client_that_leaves_is_asked_about_no_more() -> None:
    async with HttpServer(hang) as back_end, gateway_with(back_end) as gateway:
        async with RawWebSocket(gateway.port) as client:
            await client.send(WAYS["websocket"])
            await wait_until(lambda: back_end.at_once == 1)
        await wait_until(lambda: back_end.at_once == 0)


async def test_nothing_is_left_when_the_gateway_stops_in_the_middle() -> None:
    async with HttpServer(hang) as back_end:
        async with gateway_with(back_end) as gateway:
            asking = asyncio.create_task(ask(gateway))
            await wait_until(lambda: back_end.at_once == 1)
            assert isinstance(gateway._authenticator, RemoteAuthenticator)
        await wait_until(lambda: back_end.at_once == 0)
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_flood_of_failures_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with HttpServer(answering(500, {})) as back_end, gateway_with(back_end) as gateway:
        with caplog.at_level(logging.WARNING):
            await asyncio.gather(*(ask(gateway) for _ in range(100)))
        assert outcomes(gateway) == {"status": 100}
        assert 1 <= caplog.text.count("has not decided") <= 20

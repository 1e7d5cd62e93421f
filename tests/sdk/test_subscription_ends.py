"""Streams that end for good, fall silent, or are opened anew."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web

from relay import Client, ClientRefused
from relay.sdk.errors import MessageTooBig
from tests.harness.conditions import wait_until
from tests.harness.stand_in import StandIn
from tests.sdk.listeners import read_into, take
from tests.sdk.streams import Script, eager


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (403, {}, "you may not"),
        (404, {}, "you may not"),
        (301, {"Location": "https://h/sse/a"}, "it redirects clients to https://h/sse/a"),
        (200, {}, "there is no relay at this address: the answer is text/plain"),
    ],
)
async def test_a_refusal_for_good_ends_it(stand_in: StandIn, status: int, headers: dict[str, str], reason: str) -> None:
    script = Script(web.Response(status=status, headers=headers, text="you may not"))
    url = await stand_in(script.answer)
    async with eager(url, token="secret") as client:
        subscription = client.subscribe("a")
        with pytest.raises(ClientRefused) as raised:
            async with subscription:
                pass
        assert (raised.value.status, raised.value.reason) == (status, reason)
        assert raised.value.gateway == url.replace("ws", "http", 1)
        assert str(raised.value).endswith(f"answered HTTP {status}: {reason}")
        assert await take(subscription, 1) == []
    assert len(script.requests) == 1


@pytest.mark.parametrize("code", [1008, 3503, 4500])
async def test_it_stays_away_when_it_is_told_so(stand_in: StandIn, code: int) -> None:
    """Not before what had come is read."""
    script = Script(f'data: one\n\nevent: close\ndata: {{"code":{code},"reason":"go"}}\n\n'.encode())
    got: list[str | bytes] = []
    async with eager(await stand_in(script.answer)) as client:
        with pytest.raises(ClientRefused, match=f"closed with {code}: go") as raised:
            await read_into(got, client.subscribe("a"))
    assert (got, raised.value.status) == (["one"], code)
    assert len(script.requests) == 1


async def test_what_a_gateway_says_can_not_forge_a_log(stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    reason = "\\n\\u001b[2J" + "x" * 10_000
    script = Script(f'data: one\n\nevent: close\ndata: {{"code":1013,"reason":"{reason}"}}\n\n'.encode(), b"")
    with caplog.at_level(logging.WARNING, "relay.client"):
        async with eager(await stand_in(script.answer)) as client, client.subscribe("a") as messages:
            assert await take(messages, 1) == ["one"]
            await wait_until(lambda: caplog.records)
    (record, *_) = caplog.records
    assert "closed with 1013 \\n\\x1b[2Jxxx" in record.getMessage()
    assert len(record.getMessage()) < 1000


async def test_it_waits_as_long_as_it_is_asked_to(stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    script = Script(web.Response(status=429, headers={"Retry-After": "1000"}, text="too many clients"))
    async with Client(await stand_in(script.answer)) as client:
        loop = asyncio.create_task(take(client.subscribe("a"), 1))
        with caplog.at_level(logging.WARNING, "relay.client"):
            await wait_until(lambda: caplog.records)
        loop.cancel()
        assert "HTTP 429: too many clients; listening again in 100" in caplog.text


async def test_a_stream_that_falls_silent_is_opened_anew(stand_in: StandIn) -> None:
    """However often that takes, it goes on where it was."""
    asked: list[str | None] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 1\n\nid: e:1\n\n" if asked[-1] is None else b"id: e:2\ndata: two\n\n")
        await asyncio.Event().wait()
        return response

    async with eager(await stand_in(serve), silence_timeout=0.1) as client:
        assert await take(client.subscribe("a"), 1) == ["two"]
    assert asked[-1] == "e:1"


async def test_a_gateway_that_does_not_answer_is_asked_again(stand_in: StandIn) -> None:
    async def say_nothing(response: web.StreamResponse) -> None:
        await asyncio.Event().wait()

    script = Script(say_nothing, b"data: one\n\n")
    async with eager(await stand_in(script.answer), connect_timeout=0.2) as client:
        assert await take(client.subscribe("a"), 1) == ["one"]


async def test_a_message_that_is_too_big_ends_it(stand_in: StandIn) -> None:
    script = Script(b"data: one\n\ndata: " + b"x" * 20_000 + b"\n\n")
    got: list[str | bytes] = []
    async with eager(await stand_in(script.answer), max_message_bytes=10_000) as client:
        with pytest.raises(MessageTooBig, match="max_message_bytes=10000"):
            await read_into(got, client.subscribe("a"))
    assert (got, len(script.requests)) == (["one"], 1)

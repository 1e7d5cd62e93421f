"""Clients whose tokens end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from aiohttp import web

from relay import Client, ClientRefused, Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import let_an_hour_pass
from tests.harness.stand_in import StandIn
from tests.sdk.streams import Script, eager

SECRET = "s" * 32
KEPT = "kept:a"


def token(seconds: float = 7200.0) -> str:
    """Return a token that is valid for so long, for all channels of one namespace."""
    claims = {"sub": "ann", "exp": time.time() + seconds, "channels": {"kept:*": "rw"}}
    return jwt.encode(claims, SECRET, "HS256")


async def start(embedded: EmbeddedFactory, **settings: Any) -> Gateway:
    """Start a gateway that wants tokens."""
    (gateway,) = await embedded(1, auth="jwt", jwt_secret=SECRET, namespaces={"kept": {"history_size": 20}}, **settings)
    return gateway


async def test_a_token_that_expires_is_replaced_and_no_message_is_lost(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    asked: list[str] = []

    async def ask() -> str:
        await asyncio.sleep(0)
        asked.append(token(7200 if asked else 600))
        return asked[-1]

    async with (
        Client(gateway.url, token=ask, max_reconnect_delay=0.1) as client,
        client.subscribe(KEPT) as first,
        client.subscribe(KEPT) as second,
    ):
        let_an_hour_pass(gateway)
        await wait_until(lambda: gateway.counters.disconnects.get("TOKEN_EXPIRED") == 2)
        await gateway.publish(KEPT, "while away")
        await client.publish(KEPT, "with the new one")
        for messages in (first, second):
            assert [(await anext(messages)).data for _ in range(2)] == ["while away", "with the new one"]
    assert len(asked) == 2


async def test_a_token_that_cannot_be_replaced_ends_its_subscription(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with Client(gateway.url, token=token(600)) as client, client.subscribe(KEPT) as messages:
        let_an_hour_pass(gateway)
        with pytest.raises(ClientRefused) as raised:
            await anext(messages)
        assert (raised.value.status, raised.value.reason) == (1008, "token expired")
        with pytest.raises(ClientRefused, match="answered HTTP 401: your right to be here has expired"):
            await client.publish(KEPT, "late")


async def test_a_token_that_is_refused_is_asked_for_again_once(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    answers = iter([token(-60), token(), token(-60), token(-60), token(-60)])
    async with Client(gateway.url, token=lambda: next(answers)) as client, client.subscribe(KEPT) as messages:
        await client.publish(KEPT, "hello")
        assert (await anext(messages)).data == "hello"
    async with Client(gateway.url, token=lambda: next(answers)) as client:
        with pytest.raises(ClientRefused, match="HTTP 401"):
            await client.subscribe(KEPT).__aenter__()
        with pytest.raises(ClientRefused, match="HTTP 401"):
            await client.publish(KEPT, "hello")


async def test_what_a_token_does_not_allow_is_refused_for_good(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with Client(gateway.url, token=token()) as client:
        with pytest.raises(ClientRefused, match="HTTP 403: you may not subscribe to this channel"):
            await client.subscribe("other").__aenter__()
        with pytest.raises(ClientRefused, match="HTTP 403: you may not publish to this channel") as raised:
            await client.publish("other", "hello")
        assert raised.value.status == 403


async def test_what_asking_for_a_token_raises_comes_out_of_the_loop(stand_in: StandIn) -> None:
    """And the next wait goes on where it was, with another try."""
    answers: Iterator[str | OSError] = iter(["first", OSError("no token today"), "second"])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    ended = b'retry: 1\n\nid: e:1\ndata: one\n\nevent: close\ndata: {"code":1008,"reason":"token expired"}\n\n'
    script = Script(ended, b"id: e:2\ndata: two\n\n", web.Response(status=503))
    async with eager(await stand_in(script.answer), token=ask) as client, client.subscribe("a") as messages:
        assert (await anext(messages)).data == "one"
        with pytest.raises(OSError, match="no token today"):
            await anext(messages)
        assert (await anext(messages)).data == "two"
    assert [request.headers["Authorization"] for request in script.requests] == ["Bearer first", "Bearer second"]
    assert script.asked[1] == ("/sse/a", "e:1")

"""The delivery of one message through a gateway: its echo must come back, or the answer to its request."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import WSCloseCode, web
from yarl import URL

from relay.cli.delivery import NotDelivered, deliver, deliver_once
from relay.cli.unreachable import START_ONE
from tests.harness.free_port import free_port
from tests.harness.stand_in import StandIn


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer like a gateway with a welcome, on a channel with other publishers."""
    connection = web.WebSocketResponse(max_msg_size=0)
    await connection.prepare(request)
    await connection.send_str("welcome")
    async for message in connection:
        await connection.send_bytes(b"somebody else")
        await (connection.send_str if isinstance(message.data, str) else connection.send_bytes)(message.data)
    return connection


@pytest.mark.parametrize("payload", ["hello", "", b"\x00\xff", b"", "x" * 5_000_000])
async def test_a_message_that_comes_back_is_delivered(stand_in: StandIn, payload: str | bytes) -> None:
    """Other messages may come before it."""
    await deliver(URL(await stand_in(echo)), payload)


async def test_a_close_is_reported_with_its_reason(stand_in: StandIn) -> None:
    """As the gateway gave it."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.receive()
        await connection.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"bus unavailable")
        return connection

    with pytest.raises(NotDelivered, match=r"ws://127.0.0.1:\d+ closed with 1013 bus unavailable"):
        await deliver(URL(await stand_in(refuse)), "hello")


async def test_a_broken_connection_is_reported(stand_in: StandIn) -> None:
    """It is unknown whether the message was delivered."""

    async def drop(request: web.Request) -> web.StreamResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.receive()
        assert request.transport is not None
        request.transport.abort()
        return connection

    with pytest.raises(NotDelivered):
        await deliver(URL(await stand_in(drop)), "hello")


async def test_a_refusal_is_reported(stand_in: StandIn) -> None:
    """With the status."""

    async def full(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    with pytest.raises(NotDelivered, match="answered HTTP 503"):
        await deliver(URL(await stand_in(full)), "hello")


async def test_a_missing_answer_is_a_timeout(stand_in: StandIn) -> None:
    """The bus may be away."""
    ended = asyncio.Event()

    async def swallow(request: web.Request) -> web.StreamResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        async for _ in connection:
            pass
        ended.set()
        return connection

    with pytest.raises(NotDelivered, match=r"did not answer within 0\.3 s"):
        await deliver(URL(await stand_in(swallow)), "hello", timeout_seconds=0.3)
    await ended.wait()


async def test_a_refused_connection_is_reported() -> None:
    """No gateway listens at that port."""
    url = URL(f"ws://127.0.0.1:{free_port()}")
    with pytest.raises(NotDelivered) as caught:
        await deliver(url, "hello")
    assert str(caught.value) == f"{url.origin()} can't be reached: connection refused; {START_ONE}"


async def test_all_tries_of_a_message_with_a_key_have_one_time_together(stand_in: StandIn) -> None:
    """The first is refused for now, and the next ones get no answer."""
    tried = list[str]()

    async def refuse_and_hang(request: web.Request) -> web.StreamResponse:
        tried.append(await request.text())
        if len(tried) > 1:
            await asyncio.Event().wait()
        return web.Response(status=503, headers={"Server": "relay"})

    url = URL(await stand_in(refuse_and_hang)) / "ws" / "a"
    with pytest.raises(NotDelivered, match=r"did not acknowledge it within 0\.3 s"):
        await deliver_once(url, "a", "hello", "key", timeout_seconds=0.3)
    assert tried[0] == "hello"


@pytest.mark.parametrize("status", [404, 405])
async def test_a_web_server_does_not_publish(stand_in: StandIn, status: int) -> None:
    """Its own words wouldn't say what is wrong."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    url = URL(await stand_in(refuse)) / "ws" / "a"
    with pytest.raises(NotDelivered, match=f"answered HTTP {status}: there is no relay at this address"):
        await deliver_once(url, "a", "hello", "key")

"""Calls of the back end, from the client's socket to the back end's and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.client import connect

from tests.back_ends.http_server import HttpServer, answering, hang
from tests.centrifuge.transports.stream_client import CONNECT, Said, StreamClient, commands
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until

CALL: Said = {"rpc": {"method": "price", "data": {"of": "tea"}}}

Ask = Callable[[Said], Awaitable[Said]]


@asynccontextmanager
async def over_websocket(port: int) -> AsyncIterator[Ask]:
    """Yield what sends a command in a message of its own, and returns the reply."""
    async with connect(f"ws://127.0.0.1:{port}/connection/websocket", proxy=None) as socket:

        async def ask(command: Said) -> Said:
            await socket.send(commands(command).decode())
            return replies_in(await socket.recv())[0]

        await ask(CONNECT)
        yield ask


@asynccontextmanager
async def over_http_stream(port: int) -> AsyncIterator[Ask]:
    """Yield the same of a stream."""
    async with StreamClient.http_stream(port) as client:

        async def ask(command: Said) -> Said:
            await client.say(command)
            return await client.reply(command["id"])

        yield ask


def replies_in(message: str | bytes) -> list[Said]:
    """Return what stands in a message of the gateway."""
    return [json.loads(line) for line in message.splitlines()]


@pytest.mark.parametrize("transport", [over_websocket, over_http_stream])
async def test_a_client_is_answered(embedded: EmbeddedFactory, transport: Any) -> None:
    """As often as it asks, and whatever becomes of it."""
    async with HttpServer(answering(200, {"result": {"data": {"price": 4}}})) as server:
        (gateway,) = await embedded(1, rpc_url=server.url, rpc_timeout=0.2)
        async with transport(gateway.port) as ask:
            for number in (2, 3):
                assert await ask({"id": number, **CALL}) == {"id": number, "rpc": {"data": {"price": 4}}}
            server.handler = hang
            assert (await ask({"id": 4, **CALL}))["error"]["code"] == 100
    assert [json.loads(body)["transport"] for body in server.bodies] == [transport.__name__.removeprefix("over_")] * 3


async def test_many_at_once_are_answered(embedded: EmbeddedFactory) -> None:
    """More than are asked at once, so that some wait for their turn."""

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response({"result": {"data": (await request.json())["data"]}})

    async with HttpServer(echo) as server:
        (gateway,) = await embedded(1, rpc_url=server.url, rpc_concurrency=4)
        async with connect(f"{gateway.url}/connection/websocket", proxy=None) as socket:
            calls = [{"id": n, "rpc": {"method": "echo", "data": n}} for n in range(2, 20)]
            await socket.send(commands(CONNECT, *calls).decode())
            heard: list[Said] = []
            while len(heard) < 1 + len(calls):
                heard += replies_in(await socket.recv())
    assert {one["id"]: one["rpc"]["data"] for one in heard[1:]} == {n: n for n in range(2, 20)}


async def test_a_call_behind_a_subscription_that_waits_is_bounded_by_itself(
    embedded: EmbeddedFactory, late_bus: LateBus
) -> None:
    """Not the subscription, in whose task it would begin: the back end hangs, and is given up; the client stays."""
    async with HttpServer(hang) as server:
        (gateway,) = await embedded(1, rpc_url=server.url, rpc_timeout=0.2)
        async with connect(f"{gateway.url}/connection/websocket", proxy=None) as socket:
            await socket.send(commands(CONNECT, {"id": 2, "subscribe": {"channel": "a"}}, {"id": 3, **CALL}).decode())
            assert "connect" in replies_in(await socket.recv())[0]
            await wait_until(lambda: "a" in late_bus.futures)
            assert server.requests == 0
            late_bus.acknowledge("a")
            heard: list[Said] = []
            async with asyncio.timeout(60):
                while len(heard) < 2:
                    heard += replies_in(await socket.recv())
            assert heard[0] == {"id": 2, "subscribe": {}}
            assert heard[1]["error"]["code"] == 100

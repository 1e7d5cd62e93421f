"""The examples of docs/backends.md, run as they stand there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

from relay import Gateway
from tests.conftest import GatewayFactory
from tests.docs.pages import code_blocks
from tests.harness.http_response import send_request
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import request
from tests.harness.websocket_client import connected

BLOCKS = code_blocks("docs/backends.md", "python")


def example(words: str) -> str:
    """Return the one example in which some words stand."""
    (found,) = (code for code in BLOCKS if words in code)
    return found


async def test_both_publishers_reach_clients(redis_server: RedisServer, gateways: GatewayFactory) -> None:
    (gateway,) = await gateways(1, broker_url=redis_server.url)
    blocking, asynchronous = (
        example(words).replace("redis://localhost:6379", redis_server.url)
        for words in ("  # a binary message", "with AsyncPublisher(")
    )
    repeated = example("idempotency_key").replace("redis://localhost:6379", redis_server.url)
    async with connected(f"{gateway.url}/ws/lobby") as (listener,):
        for _ in range(2):
            await asyncio.to_thread(exec, repeated, {})
        await asyncio.to_thread(exec, blocking, {})
        names: dict[str, Any] = {}
        exec(asynchronous, names)
        await names["greet"]()
        assert await listener.receive(4) == ["order 42 has been paid", "hello", b"\x00\x01", "hello"]


async def test_a_gateway_runs_inside_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(example("with Gateway(").replace("asyncio.run(main())", ""), names)
    await names["main"]()
    assert capsys.readouterr().out.startswith("ws://127.0.0.1:")


ANN = "Cookie: user=ann"

HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def asked(gateway: Gateway, path: str, *headers: str) -> int:
    """Return the status with which a gateway answers a request for a path, of the kind that belongs there."""
    more = HANDSHAKE if path.startswith("/ws") else ()
    method = "POST" if path.startswith("/publish") else "GET"
    response = await send_request(gateway.port, request(path, b"", *headers, *more, method=method))
    return response.status


async def test_a_program_decides_who_may_do_what(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_user(cookie: str) -> str | None:
        await asyncio.sleep(0)
        return cookie.removeprefix("user=") or None

    monkeypatch.setenv("RELAY_PORT", "0")
    monkeypatch.setenv("RELAY_DRAIN_SECONDS", "0")
    names: dict[str, Any] = {"find_user": find_user}
    exec(example("authenticator=ByCookie()"), names)
    gateway: Gateway = names["gateway"]
    async with gateway:
        for path in ("/ws/ann", "/sse/ann", "/poll/ann?wait=0", "/publish/ann"):
            assert await asked(gateway, path) == 401, path
        for path in ("/ws/bob", "/sse/bob", "/poll/bob?wait=0", "/publish/public:news"):
            assert await asked(gateway, path, ANN) == 403, path
        assert await asked(gateway, "/poll/public:news?wait=0", ANN) == 200
        assert await asked(gateway, "/publish/ann", ANN) == 200
        cookie = {"Cookie": "user=ann"}
        async with (
            connect(f"{gateway.url}/ws/ann?echo=1", additional_headers=cookie) as own,
            connect(f"{gateway.url}/ws/public:news", additional_headers=cookie) as public,
        ):
            await own.send("hello")
            assert await own.recv() == "hello"
            await public.send("hello")
            await public.wait_closed()
            assert (public.close_code, public.close_reason) == (1008, "not allowed")

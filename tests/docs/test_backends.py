"""The examples of docs/backends.md, run as they stand there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from relay import Gateway
from tests.conftest import GatewayFactory
from tests.docs.pages import code_blocks
from tests.harness.redis_server import RedisServer
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
        for words in ("with Publisher(", "with AsyncPublisher(")
    )
    async with connected(f"{gateway.url}/ws/lobby") as (listener,):
        await asyncio.to_thread(exec, blocking, {})
        names: dict[str, Any] = {}
        exec(asynchronous, names)
        await names["greet"]()
        assert await listener.receive(3) == ["hello", b"\x00\x01", "hello"]


async def test_a_gateway_runs_inside_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(example("with Gateway(").replace("asyncio.run(main())", ""), names)
    await names["main"]()
    assert capsys.readouterr().out.startswith("ws://127.0.0.1:")


async def test_a_program_decides_who_may_do_what(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_user(cookie: str) -> str | None:
        await asyncio.sleep(0)
        return cookie.removeprefix("user=") or None

    monkeypatch.setenv("RELAY_PORT", "0")
    names: dict[str, Any] = {"find_user": find_user}
    exec(example("authenticator=ByCookie()"), names)
    gateway: Gateway = names["gateway"]
    async with gateway:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{gateway.url}/ws/ann")
        assert refused.value.response.status_code == 401
        cookie = {"Cookie": "user=ann"}
        async with (
            connect(f"{gateway.url}/ws/ann?echo=1", additional_headers=cookie) as own,
            connect(f"{gateway.url}/ws/bob", additional_headers=cookie) as other,
        ):
            await own.send("hello")
            assert await own.recv() == "hello"
            await other.send("hello")
            await other.wait_closed()
            assert (other.close_code, other.close_reason) == (1008, "not allowed")

"""The official SDK for JavaScript over HTTP: its stream at one gateway, and what it says at any."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import GatewayFactory
from tests.harness.conditions import PATIENCE_SECONDS, stays_true, wait_until
from tests.harness.forked_process import ROOT
from tests.harness.redis_server import RedisServer
from tests.harness.tcp_proxy import TcpProxy

FOLDER = ROOT / ".venv-sdk" / "javascript"
DRIVER = Path(__file__).parent / "driver.mjs"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "centrifuge").exists(),
        reason="the SDK for JavaScript isn't installed: make sdk",
    ),
]

both = pytest.mark.parametrize("transport", ["http_stream", "sse"])

NAMESPACES = json.dumps({"kept": {"history_size": 1000}})


class Driven:
    """An SDK in a process of its own.

    Args:
        process: of the driver.

    Attributes:
        told: its events, in order.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self.told: list[dict[str, Any]] = []
        self._task = asyncio.create_task(self._read())

    async def do(self, command: str, value: object = None) -> dict[str, Any]:
        """Let it carry out a command, and return what came of that."""
        id_ = next(self._ids)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, "id": id_, "value": value}).encode() + b"\n")
        return await self.until(lambda one: one.get("answer") == id_)

    async def until(self, found: Any, count: int = 1) -> dict[str, Any]:
        """Wait until so many of some events have come; return the last of these."""
        await wait_until(
            lambda: sum(map(bool, map(found, self.told))) >= count, PATIENCE_SECONDS, lambda: self.told[-20:]
        )
        return [one for one in self.told if found(one)][count - 1]

    @property
    def data(self) -> list[Any]:
        """What it has been told on its channel."""
        return [one["data"] for one in self.told if "data" in one]

    async def end(self) -> None:
        """End the process."""
        self._process.kill()
        await self._process.wait()
        await self._task

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.told.append(json.loads(line))


@asynccontextmanager
async def driven(port: int, transport: str, channel: str) -> AsyncIterator[Driven]:
    """Start an SDK that is subscribed to a channel."""
    surroundings = {
        "PATH": os.environ["PATH"],
        "SDK_FOLDER": str(FOLDER),
        "SDK_URL": f"http://127.0.0.1:{port}",
        "SDK_TRANSPORT": transport,
        "SDK_CHANNEL": channel,
    }
    process = await asyncio.create_subprocess_exec(
        "node", str(DRIVER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=surroundings
    )
    sdk = Driven(process)
    try:
        await sdk.until(lambda one: "subscribed" in one)
        yield sdk
    finally:
        await sdk.end()


@both
async def test_it_hears_and_speaks_by_any_gateway(
    gateways: GatewayFactory, redis_server: RedisServer, prefix: str, transport: str
) -> None:
    one, other = await gateways(2, broker_url=redis_server.url, broker_prefix=prefix, ping_interval=1, ping_timeout=1)
    async with TcpProxy(one.port, other.port, in_turn=True) as proxy, driven(proxy.port, transport, "a") as sdk:
        assert sdk.told[1] == {"connected": transport}
        for number in range(100):
            assert "error" not in await sdk.do("publish", number)
        await wait_until(lambda: len(sdk.data) == 100)
        assert sdk.data == list(range(100))
        assert (await sdk.do("rpc"))["error"] == 108
        assert (await sdk.do("history"))["error"] == 108
        before = len(sdk.told)
        assert await stays_true(lambda: len(sdk.told) == before, 3), "it answers pings, and stays"


@both
async def test_it_recovers_from_broken_connections_and_a_gateway_that_leaves(
    gateways: GatewayFactory, redis_server: RedisServer, prefix: str, transport: str
) -> None:
    settings = {"broker_url": redis_server.url, "broker_prefix": prefix, "namespaces": NAMESPACES}
    one, other = await gateways(2, **settings)
    numbers = itertools.count()
    async with (
        TcpProxy(one.port, other.port, in_turn=True) as proxy,
        driven(proxy.port, transport, "kept:a") as sdk,
        driven(other.port, transport, "kept:a") as publisher,
    ):
        for turn in range(4):
            for _ in range(20):
                assert "error" not in await publisher.do("publish", next(numbers))
            if turn == 1:
                proxy.targets = (other.port,)
                await one.terminate()
            elif turn < 3:
                proxy.cut()
        await wait_until(lambda: len(sdk.data) >= 80, what=lambda: sdk.told[-10:])
        assert sdk.data == publisher.data == list(range(80))
        again = [told for told in sdk.told if told.get("subscribed")]
        assert again
        assert all(told["recovered"] for told in again)
        assert (await sdk.do("history"))["result"] == list(range(80))

"""Both ends of a client with several channels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay import Gateway, protocols
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.clients.websocket import WebSocket
from relay.message import Kind, Message
from relay.node import Node
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket
from tests.harness.whole_frames import frames_of

TEN = [f"c{number}" for number in range(10)]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")


class Wrapped:
    """A client's transport, whose writes are noted.

    Attributes:
        writes: since the last look.
    """

    def __init__(self, connection: WebSocket) -> None:
        self._transport = connection._transport
        self.writes: list[bytes] = []
        self.full = False
        connection._transport = self  # type: ignore[assignment]
        connection._write = self.write

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        assert self._transport is not None
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def taken(self) -> list[list[Any]]:
        """Return the JSON values of each write, and forget them."""
        writes, self.writes = self.writes, []
        return [[json.loads(payload) for opcode, payload in frames_of(data) if opcode == TEXT] for data in writes]


@asynccontextmanager
async def joined(gateway: Gateway, *channels: str) -> AsyncIterator[tuple[RawWebSocket, MultiplexedWebSocket]]:
    """Connect a client that is subscribed to channels; yield both ends."""
    before = set(parts_of(gateway).context.registry)
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/multiplexed")).status == 101
        (connection,) = set(parts_of(gateway).context.registry) - before
        assert isinstance(connection, MultiplexedWebSocket)
        for number, name in enumerate(channels):
            say(connection, id=number + 1, subscribe=name)
        for _ in channels:
            assert json.loads((await client.frame()).payload)["ok"]
        yield client, connection


def say(connection: WebSocket, **command: object) -> None:
    """Let a client say something, as if it had been read."""
    connection._reader._pass_on(Kind.TEXT, json.dumps(command).encode())


def publish(node: Node, channels: Iterable[str], data: bytes = b"1") -> None:
    """Let messages come from the bus."""
    for name in channels:
        node.receive(Message(name, data))


async def one_tick() -> None:
    """Let what is due happen."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)

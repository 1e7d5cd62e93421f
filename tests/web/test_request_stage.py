"""What each stage of a request does about what comes from outside, and which stage follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from relay import Gateway, Settings
from relay.auth.authenticator import ANONYMOUS, Identity
from relay.protocols.request import ConnectRequest
from relay.web.http_connection import HttpConnection
from relay.web.request_stage import NEXT, Stage
from tests.harness.conditions import PATIENCE_SECONDS, stays_true, wait_until
from tests.harness.http_response import read_response
from tests.harness.inside import parts_of
from tests.harness.proxy_headers import proxy_header
from tests.harness.server_api import request
from tests.harness.stages import WatchedStage
from tests.web.exchange import HANDSHAKE, POLL, PUBLISH, WAITING, statuses

UNFINISHED = request("/publish/a", b"x", "Content-Type: text/plain", "Content-Length: 3")
STREAM = request("/connection/http_stream", b'{"id":1,"connect":{}}')
UNREAD = request("/poll/b?wait=0", b"hell", "Content-Length: 5", method="GET")
"""A request that is answered though its body has no end: polls have no use for one."""

OPEN = None
"""The connection stays as it is, and nothing is written."""


class Undecided:
    """An authenticator that never answers."""

    async def identify(self, request: ConnectRequest) -> Identity:
        await asyncio.Event().wait()
        return ANONYMOUS


@dataclass
class Wire:
    """A client's end of a connection, and the gateway's.

    Args:
        reader: of the client.
        writer: of the client.
        connection: of the gateway.
        gateway: that it belongs to.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connection: HttpConnection
    gateway: Gateway

    @property
    def stage(self) -> Stage:
        """Where the connection stands."""
        return self.connection._stage

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> list[int]:
        """Return the statuses of what comes until the gateway closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return statuses(await self.reader.read())
            except ConnectionError:
                return []


@asynccontextmanager
async def connect(stage: Stage) -> AsyncIterator[Wire]:
    """Bring a connection to the clients' port into a stage."""
    authenticator = Undecided() if stage is Stage.UPGRADE else None
    settings = Settings(port=0, drain_seconds=0, trusted_proxies=("127.0.0.1",))
    async with Gateway(settings, authenticator=authenticator) as gateway:
        connections = parts_of(gateway).front_door.http.connections
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await wait_until(lambda: len(connections) == 1)
        (connection,) = connections
        assert isinstance(connection, HttpConnection)
        wire = Wire(reader, writer, connection, gateway)
        sent, answers = _TO_REACH[stage]
        await wire.send(sent)
        for status in answers:
            assert (await read_response(reader)).status == status
        await wait_until(lambda: wire.stage is stage)
        try:
            yield wire
        finally:
            writer.transport.abort()


_TO_REACH: dict[Stage, tuple[bytes, list[int]]] = {
    Stage.IDLE: (POLL, [200]),
    Stage.HEAD: (PUBLISH[:20], []),
    Stage.BODY: (UNFINISHED, []),
    Stage.REST: (UNREAD, [200]),
    Stage.RESPONSE: (WAITING, []),
    Stage.COLLECT: (STREAM[:-3], []),
    Stage.UPGRADE: (HANDSHAKE, []),
    Stage.ENDING: (b"nonsense\r\n\r\n", [400]),
}
"""Stage → what the client sends to get there, and what is answered meanwhile."""


@pytest.mark.parametrize(
    ("stage", "answers"),
    [
        (Stage.IDLE, []),
        (Stage.HEAD, [400]),
        (Stage.BODY, [400]),
        (Stage.REST, []),
        (Stage.RESPONSE, [200]),
        (Stage.COLLECT, [400]),
        (Stage.UPGRADE, []),
        (Stage.ENDING, []),
    ],
)
async def test_the_client_closes_its_side(stage: Stage, answers: list[int]) -> None:
    async with connect(stage) as wire:
        wire.writer.write_eof()
        assert await wire.rest() == answers
        assert wire.stage is Stage.ENDING


@pytest.mark.parametrize(
    ("stage", "answers"),
    [
        (Stage.IDLE, []),
        (Stage.HEAD, [408]),
        (Stage.BODY, []),
        (Stage.REST, []),
        (Stage.RESPONSE, []),
        (Stage.COLLECT, [408]),
        (Stage.UPGRADE, [503]),
        (Stage.ENDING, []),
    ],
)
async def test_the_deadline_passes(stage: Stage, answers: list[int]) -> None:
    async with connect(stage) as wire:
        parts_of(wire.gateway).front_door.http.connections.expire(float("inf"))
        assert wire.stage is Stage.ENDING
        assert await wire.rest() == answers


@pytest.mark.parametrize(
    ("stage", "answers"),
    [
        (Stage.IDLE, []),
        (Stage.HEAD, [503]),
        (Stage.BODY, OPEN),
        (Stage.REST, OPEN),
        (Stage.RESPONSE, OPEN),
        (Stage.COLLECT, [503]),
        (Stage.UPGRADE, [503]),
        (Stage.ENDING, []),
    ],
)
async def test_the_gateway_drains(stage: Stage, answers: list[int] | None) -> None:
    async with connect(stage) as wire:
        wire.connection.drain()
        if answers is OPEN:
            assert await stays_true(lambda: wire.stage is stage and not wire.reader.at_eof(), 0.1)
        else:
            assert wire.stage is Stage.ENDING
            assert await wire.rest() == answers


async def test_a_connection_that_has_asked_for_nothing_is_told_that_the_gateway_drains() -> None:
    """One that was answered before is not: a response without a request could be taken for that to the next one."""
    async with Gateway(Settings(port=0, drain_seconds=0)) as gateway:
        connections = parts_of(gateway).front_door.http.connections
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await wait_until(lambda: len(connections) == 1)
        (connection,) = connections
        connection.drain()
        assert (await read_response(reader)).status == 503
        writer.transport.abort()


@pytest.mark.parametrize(
    ("stage", "data", "after"),
    [
        (Stage.IDLE, PUBLISH[:20], Stage.HEAD),
        (Stage.IDLE, UNFINISHED, Stage.BODY),
        (Stage.IDLE, WAITING, Stage.RESPONSE),
        (Stage.IDLE, b"nonsense\r\n\r\n", Stage.ENDING),
        (Stage.HEAD, PUBLISH[20:30], Stage.HEAD),
        (Stage.HEAD, PUBLISH[20:], Stage.IDLE),
        (Stage.BODY, b"y", Stage.BODY),
        (Stage.BODY, b"yz", Stage.IDLE),
        (Stage.REST, b"o", Stage.IDLE),
        (Stage.RESPONSE, PUBLISH, Stage.RESPONSE),
        (Stage.IDLE, STREAM[:-1], Stage.COLLECT),
        (Stage.COLLECT, STREAM[-3:-1], Stage.COLLECT),
        (Stage.COLLECT, STREAM[-3:], Stage.ENDING),
        (Stage.UPGRADE, b"\x81\x80abcd", Stage.UPGRADE),
        (Stage.ENDING, PUBLISH, Stage.ENDING),
    ],
)
async def test_bytes_come(stage: Stage, data: bytes, after: Stage) -> None:
    async with connect(stage) as wire:
        await wire.send(data)
        await wait_until(lambda: wire.stage is after)
        assert await stays_true(lambda: wire.stage is after, 0.05)


async def test_every_change_of_the_table_can_happen(stages: WatchedStage) -> None:
    """The others are refused after each test of this folder."""
    for stage in _TO_REACH:
        async with connect(stage) as wire:
            wire.connection.abort()
            assert wire.stage is Stage.ENDING
    async with connect(Stage.HEAD) as wire:
        await wire.send(PUBLISH[20:] + PUBLISH[:20])
        await wait_until(lambda: wire.stage is Stage.HEAD)
        await wire.send(PUBLISH[20:] + UNFINISHED)
        await wait_until(lambda: wire.stage is Stage.BODY)
        await wire.send(b"yz" + UNREAD)
        await wait_until(lambda: wire.stage is Stage.REST)
        await wire.send(b"o" + PUBLISH + HANDSHAKE[:20])
        await wait_until(lambda: wire.stage is Stage.HEAD)
        await wire.send(HANDSHAKE[20:])
        await wait_until(lambda: wire.stage is Stage.ENDING)
    async with connect(Stage.IDLE) as wire:
        await wire.send(STREAM[:20])
        await wait_until(lambda: wire.stage is Stage.HEAD)
        await wire.send(STREAM[20:-3])
        await wait_until(lambda: wire.stage is Stage.COLLECT)
        await wire.send(STREAM[-3:])
        await wait_until(lambda: wire.stage is Stage.ENDING)
    async with Gateway(Settings(port=0, drain_seconds=0, trusted_proxies=("127.0.0.1",))) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(proxy_header("192.0.2.1")[:20])
        await wait_until(lambda: (Stage.IDLE, Stage.HEAD) in stages.seen)
        writer.write(proxy_header("192.0.2.1")[20:])
        await wait_until(lambda: (Stage.HEAD, Stage.IDLE) in stages.seen)
        writer.transport.abort()
    assert stages.seen == {(stage, after) for stage, follows in NEXT.items() for after in follows}

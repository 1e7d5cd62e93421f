"""Messages that are longer on the wire than what may wait for a client: those who read them are not slow."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay import Gateway
from relay.clients.client import Client
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, TEXT, RawWebSocket, close_of, upgraded

pytestmark = pytest.mark.usefixtures("each_fan_out")

SIZE = 1_000_000
"""Of a payload; more than a kernel takes at once for a reader with a small buffer, once it is escaped."""

TEXTS = [letter * SIZE for letter in ("\x01", "\x02", "\x03")]
"""Each byte becomes six in JSON."""

BUFFER = 1_048_576
"""What may wait for a client: the default, and more than the largest message."""


async def start(embedded: EmbeddedFactory, **more: Any) -> Gateway:
    """Start a gateway whose largest message has just room."""
    settings = {"max_message_bytes": SIZE, "send_buffer_bytes": BUFFER, "no_json": "string"}
    (gateway,) = await embedded(1, **settings, **more)
    return gateway


@asynccontextmanager
async def subscribed(gateway: Gateway) -> AsyncIterator[tuple[RawWebSocket, Client]]:
    """Subscribe a client of the Centrifuge protocol with a small buffer to `a`; give it as seen from both ends."""
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        commands: list[dict[str, Any]] = [{"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "a"}}]
        for command in commands:
            await client.send_frame(TEXT, json.dumps(command).encode())
            assert json.loads((await client.frame()).payload)["id"] == command["id"]
        (inside,) = parts_of(gateway).context.registry
        assert isinstance(inside, Client)
        yield client, inside


async def hear(client: RawWebSocket) -> str:
    """Return what the next publication says."""
    frame = await client.frame()
    assert frame.opcode != CLOSE, close_of(frame)
    data = json.loads(frame.payload)["push"]["pub"]["data"]
    assert isinstance(data, str)
    return data


async def test_one_message_has_room_however_much_longer_json_makes_it(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with subscribed(gateway) as (client, inside):
        await gateway.publish("a", TEXTS[0])
        await wait_until(lambda: inside.buffered > BUFFER)
        await gateway.publish("a", TEXTS[1])  # while the first is on its way
        assert [await hear(client) for _ in range(2)] == TEXTS[:2]
        await gateway.publish("a", TEXTS[2])
        assert await hear(client) == TEXTS[2]
    assert gateway.counters.disconnects == {}


async def test_small_ones_have_room_behind_one_that_has_waited(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with subscribed(gateway) as (client, inside):
        await gateway.publish("a", TEXTS[0])
        await wait_until(lambda: inside.buffered > BUFFER)
        await gateway.publish("a", TEXTS[1])
        await wait_until(lambda: bool(inside._held))
        assert await hear(client) == TEXTS[0]
        await wait_until(lambda: inside._held is not None and not inside._held)
        assert inside.stuck > BUFFER
        for text in ("x", "y"):
            await gateway.publish("a", text)
            parts_of(gateway).context.node.hub.flush()
        assert [await hear(client) for _ in range(3)] == [TEXTS[1], "x", "y"]
    assert gateway.counters.disconnects == {}


async def test_a_long_answer_has_room_behind_one(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, namespaces={"kept": {"history_size": 1, "history_bytes": 16 * SIZE}})
    await gateway.publish("kept:a", TEXTS[0])
    async with subscribed(gateway) as (client, inside):
        await gateway.publish("a", TEXTS[1])
        await wait_until(lambda: inside.buffered > BUFFER)
        history = {"id": 3, "history": {"channel": "kept:a", "limit": -1}}
        await client.send_frame(TEXT, json.dumps(history).encode())
        await wait_until(lambda: inside.stuck > 6 * SIZE or not inside.session.open)
        assert await hear(client) == TEXTS[1]
        frame = await client.frame()
        assert frame.opcode != CLOSE, close_of(frame)
        (publication,) = json.loads(frame.payload)["history"]["publications"]
        assert publication["data"] == TEXTS[0]
    assert gateway.counters.disconnects == {}


async def test_one_that_reads_nothing_is_closed_when_more_waits(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with subscribed(gateway) as (client, _):
        for text in TEXTS:
            await gateway.publish("a", text)
        await wait_until(lambda: gateway.counters.disconnects == {"SLOW_CONSUMER": 1})
        assert await hear(client) == TEXTS[0]
        assert close_of(await client.frame()) == (3008, "slow")

"""Clients that say much at once: it is carried out a few commands at a time, and counted one by one."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay import Gateway
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.clients.multiplexed_session import MultiplexedSession
from relay.clients.turns import FRAMES_PER_TICK
from relay.errors import Disconnect
from relay.limits.limit import Limit
from relay.message import Kind, Message
from relay.protocols.centrifuge.connection import Centrifuge
from relay.protocols.centrifuge.unread import COMMANDS_PER_TURN
from relay.protocols.request import ConnectRequest
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.live_objects import live_objects
from tests.harness.raw_websocket import TEXT, RawWebSocket, close_of


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 0.1)


MANY = 1000


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[RawWebSocket]:
    """Connect a client."""
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/connection/websocket")).status == 101
        await say(client, {"id": 1, "connect": {}})
        assert (await hear(client, 1))[0]["id"] == 1
        yield client


def lines(*commands: dict[str, Any]) -> bytes:
    """Return commands as one message."""
    return b"\n".join(json.dumps(command, separators=(",", ":")).encode() for command in commands)


async def say(client: RawWebSocket, *commands: dict[str, Any]) -> None:
    """Send commands in one message."""
    await client.send_frame(TEXT, lines(*commands))


async def hear(client: RawWebSocket, number: int) -> list[Any]:
    """Return so many replies and pushes."""
    heard: list[Any] = []
    while len(heard) < number:
        frame = await client.frame()
        assert frame.opcode == TEXT, close_of(frame)
        heard += map(json.loads, frame.payload.split(b"\n"))
    return heard


def replies(commands: int) -> list[int]:
    """Return the ids of so many commands."""
    return list(range(9, 9 + commands))


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
async def test_commands_that_are_answered_at_once_are_no_recursion(
    embedded: EmbeddedFactory, late_bus: LateBus, kind: str
) -> None:
    """They wait for the first one, and are answered in a row when that is."""
    (gateway,) = await embedded(1)
    async with connected(gateway) as client:
        await say(
            client,
            {"id": 9, "subscribe": {"channel": "late"}},
            *({"id": 10 + number, kind: {"channel": "late"}} for number in range(MANY - 1)),
        )
        await wait_until(lambda: "late" in late_bus.futures)
        late_bus.acknowledge("late")
        heard = await hear(client, MANY)
        assert [reply["id"] for reply in heard] == replies(MANY)
        if kind == "subscribe":
            assert {reply["error"]["code"] for reply in heard[1:]} == {105}


async def test_others_have_their_turns_between_the_commands_of_a_message(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    async with connected(gateway) as other, connected(gateway) as client:
        await say(other, {"id": 2, "subscribe": {"channel": "news"}})
        await hear(other, 1)
        ticks = 0

        async def count_ticks() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        await say(client, *({"id": 9 + number, "unsubscribe": {"channel": "a"}} for number in range(MANY)))
        counting = asyncio.create_task(count_ticks())
        node.receive(Message("news", b"1"))
        assert [reply["id"] for reply in await hear(client, MANY)] == replies(MANY)
        counting.cancel()
        assert ticks >= MANY // FRAMES_PER_TICK
        assert (await hear(other, 1))[0]["push"]["pub"] == {"data": 1}


async def test_each_command_counts_as_a_message(embedded: EmbeddedFactory) -> None:
    """One message with many commands is no way around the rate of messages."""
    (gateway,) = await embedded(1, max_messages_per_second=100)
    async with connected(gateway) as client:
        await say(client, *({"id": 9 + number, "unsubscribe": {"channel": "a"}} for number in range(MANY)))
        assert [reply["id"] for reply in await hear(client, 250)] == replies(MANY)[:250]
        assert gateway.counters.limits_reached[Limit.MESSAGES.label] == 1
        assert len(parts_of(gateway).context.throttled) == 1
        parts_of(gateway).context.throttled._go_on(*parts_of(gateway).context.throttled._throttled)


async def test_what_was_read_is_carried_out_when_its_client_has_left(embedded: EmbeddedFactory) -> None:
    """As are the messages of any other client; without those that wait for an answer, which comes no more."""
    (gateway,) = await embedded(1)
    async with leaving_nothing(gateway), connected(gateway) as reader:
        await say(reader, {"id": 2, "subscribe": {"channel": "news"}})
        await hear(reader, 1)
        for last in ({"presence": {"channel": "news"}}, {"publish": {"channel": "news", "data": 0}}):
            async with connected(gateway) as client:
                publications = ({"id": 9, "publish": {"channel": "news", "data": number}} for number in range(MANY))
                await say(client, *publications, {"id": 8, **last})
                await wait_until(lambda: gateway.counters.messages_received % MANY > 1)
                client.abort()
                heard = await hear(reader, MANY)
                assert [push["push"]["pub"]["data"] for push in heard] == list(range(MANY))
        await hear(reader, 1)
        await wait_until(lambda: gateway.counters.connections_open == 1)
        assert len(parts_of(gateway).context.turns) == 0


async def test_commands_wait_until_their_answers_are_read(embedded: EmbeddedFactory) -> None:
    """A client that asks and doesn't read makes no work, beyond what its socket holds."""
    (gateway,) = await embedded(1, history_size=10)
    async with connected(gateway) as client:
        (connection,) = parts_of(gateway).context.registry
        assert isinstance(connection, MultiplexedWebSocket)
        session = connection.session
        assert isinstance(session, MultiplexedSession)
        connection.pause_writing()
        await say(client, *({"id": 9 + number, "unsubscribe": {"channel": "a"}} for number in range(MANY)))
        await wait_until(lambda: session.paused and not session.due)
        assert await stays_true(lambda: session.paused and not session.due, 0.05)
        connection.resume_writing()
        assert [reply["id"] for reply in await hear(client, MANY)] == replies(MANY)


async def test_commands_wait_while_the_bus_takes_no_more(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    async with connected(gateway) as client:
        (connection,) = parts_of(gateway).context.registry
        node.congested = True
        connection.session.protocol.received(
            connection.session,
            Kind.TEXT,
            lines(*({"id": 9 + number, "unsubscribe": {"channel": "a"}} for number in range(MANY))),
        )
        heard = await hear(client, COMMANDS_PER_TURN)
        assert len(heard) == COMMANDS_PER_TURN
        await wait_until(lambda: node.paused_publishers == 1)
        node.congested = False
        node.writable()
        heard += await hear(client, MANY - COMMANDS_PER_TURN)
        assert [reply["id"] for reply in heard] == replies(MANY)


async def test_a_client_that_is_closed_has_no_more_turns(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with leaving_nothing(gateway):
        async with connected(gateway) as client:
            await say(client, *[{"id": 9, "unsubscribe": {"channel": "a"}}] * MANY, {"id": 0, "rpc": {}})
            assert await client.close_frame() == (3501, "bad request")
        await wait_until(lambda: gateway.counters.connections_open == 0)
        async with connected(gateway) as client:
            await say(client, *[{"id": 9, "unsubscribe": {"channel": "a"}}] * MANY)
            await hear(client, 1)
            for connection in list(parts_of(gateway).context.registry):
                connection.close(Disconnect.FORCE_DISCONNECT)
            del connection
            assert await client.close_frame() == (3503, "force disconnect")
        await wait_until(lambda: gateway.counters.connections_open == 0)
        assert len(parts_of(gateway).context.turns) == 0


@pytest.mark.parametrize("said", [[], [{"id": 1, "connect": {}}], [{"id": 1, "connect": {}}, {"id": 2, "rpc": {}}]])
async def test_nothing_of_a_client_waits_for_the_garbage_collector(
    embedded: EmbeddedFactory, said: list[dict[str, Any]]
) -> None:
    (gateway,) = await embedded(1)
    gc.collect()
    gc.disable()
    # What an earlier test of this process has left, such as the traceback of one that failed.
    left = live_objects(MultiplexedSession, Centrifuge, ConnectRequest)
    try:
        async with RawWebSocket(gateway.port) as client:
            await client.upgrade("/connection/websocket")
            if said:
                await say(client, *said)
                await hear(client, len(said))
            assert live_objects(MultiplexedSession, Centrifuge, ConnectRequest) > left
        await wait_until(lambda: live_objects(MultiplexedSession, Centrifuge, ConnectRequest) <= left)
    finally:
        gc.enable()


async def test_a_client_that_connects_with_too_many_channels_is_closed_before_the_first(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the thousands of its `connect` cost nothing."""
    asked: list[str] = []
    subscribe = MultiplexedSession.subscribe

    def noted(session: MultiplexedSession, channel: str, *rest: Any) -> None:
        asked.append(channel)
        subscribe(session, channel, *rest)

    monkeypatch.setattr(MultiplexedSession, "subscribe", noted)
    (gateway,) = await embedded(1, max_channels_per_connection=10)
    async with RawWebSocket(gateway.port) as client:
        await client.upgrade("/connection/websocket")
        await say(client, {"id": 1, "connect": {"subs": {str(number): {} for number in range(MANY)}}})
        assert await client.close_frame() == (3505, "channel limit")
    assert asked == []

"""Replies that are more than a client's socket takes at once: what it recovers, and histories."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from relay import Gateway
from relay.clients.client import Client
from relay.clients.multiplexed import MultiplexedWebSocket
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, TEXT, RawWebSocket, close_of, upgraded

NAMESPACES = {"kept": {"history_size": 200, "history_bytes": 16 * 2**20}}
CHANNELS = ["kept:a", "kept:b"]

SIZE = 60_000
KEPT = 150
"""So many messages fill every buffer of the kernel."""

BUFFER = 70_000
"""What may wait for a client: far less than one reply."""

PUBLICATION = {"channel": "b", "data": 1}

Said = dict[str, Any]


async def start(embedded: EmbeddedFactory, **settings: Any) -> Gateway:
    """Start a gateway with two channels that have 9 MB of messages each."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES, send_buffer_bytes=BUFFER, **settings)
    for channel in CHANNELS:
        for number in range(KEPT):
            await gateway.publish(channel, str(number).ljust(SIZE))
    return gateway


async def say(client: RawWebSocket, *commands: Said) -> None:
    """Send commands in one message."""
    await client.send_frame(TEXT, "\n".join(json.dumps(command) for command in commands).encode())


async def hear(client: RawWebSocket, until: int) -> list[Said]:
    """Return what is told up to the reply to a command."""
    heard: list[Said] = []
    while not heard or heard[-1].get("id") != until:
        frame = await client.frame()
        assert frame.opcode != CLOSE, close_of(frame)
        heard += map(json.loads, frame.payload.splitlines())
    return heard


def numbers(result: Said) -> list[int]:
    """Return what the publications of a reply say."""
    return [publication["data"] for publication in result["publications"]]


def known(gateway: Gateway, channel: str) -> Said:
    """Return what a client says that had heard of a channel before its first message."""
    position = parts_of(gateway).context.node.recoveries.position(channel)
    return {"recover": True, "epoch": "" if position is None else position.epoch, "offset": 0}


async def test_a_client_recovers_all_its_channels_however_much_that_is(embedded: EmbeddedFactory) -> None:
    """Asked for in one message, as SDKs do: the next one begins when the client has taken the one before."""
    gateway = await start(embedded)
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        subscribes: list[Said] = [
            {"id": number, "subscribe": {"channel": channel, **known(gateway, channel)}}
            for number, channel in enumerate(CHANNELS, 2)
        ]
        await say(client, {"id": 1, "connect": {}}, *subscribes, {"id": 4, "publish": {"channel": "b", "data": 1}})
        (inside,) = parts_of(gateway).context.registry
        assert isinstance(inside, Client)
        await wait_until(lambda: inside.buffered > BUFFER)
        assert await stays_true(lambda: inside.session.open and len(inside.session.channels) == 1, 0.05)
        await gateway.publish("kept:a", str(KEPT).ljust(SIZE))
        heard = await hear(client, 4)
        replies = {one["id"]: one for one in heard if "id" in one}
        assert list(replies) == [1, 2, 3, 4]
        assert [numbers(replies[id_]["subscribe"]) for id_ in (2, 3)] == [[*range(KEPT)]] * 2
        assert [one["push"]["pub"]["data"] for one in heard if "push" in one] == [KEPT]
    assert gateway.counters.disconnects == {}


async def test_a_client_recovers_what_it_has_with_its_connection(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        subs = {channel: known(gateway, channel) for channel in CHANNELS}
        await say(client, {"id": 1, "connect": {"subs": subs}})
        (reply,) = await hear(client, 1)
        assert [numbers(reply["connect"]["subs"][channel]) for channel in CHANNELS] == [[*range(KEPT)]] * 2
    assert gateway.counters.disconnects == {}


async def test_a_history_is_no_slowness_either(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        await say(client, {"id": 1, "connect": {}}, {"id": 2, "history": {"channel": "kept:a", "limit": -1}})
        assert numbers((await hear(client, 2))[-1]["history"]) == [*range(KEPT)]
    assert gateway.counters.disconnects == {}


async def test_of_several_long_replies_at_a_time_only_the_first_is_no_slowness(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        await say(client, {"id": 1, "connect": {}}, {"id": 2, "history": {"channel": "kept:a", "limit": -1}})
        (inside,) = parts_of(gateway).context.registry
        assert isinstance(inside, MultiplexedWebSocket)
        await wait_until(lambda: inside.buffered > BUFFER)
        inside.reply(bytes(BUFFER + 1))
        assert gateway.counters.disconnects == {"SLOW_CONSUMER": 1}


async def test_what_comes_behind_may_not_be_more_than_may_wait(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        subscribe = {"id": 2, "subscribe": {"channel": "kept:a", **known(gateway, "kept:a")}}
        await say(client, {"id": 1, "connect": {}}, subscribe)
        (inside,) = parts_of(gateway).context.registry
        assert isinstance(inside, Client)
        await wait_until(lambda: inside.buffered > BUFFER)
        for number in range(2):
            await gateway.publish("kept:a", str(number).ljust(SIZE))
            parts_of(gateway).context.node.hub.flush()
        await wait_until(lambda: not inside.session.open)
        assert gateway.counters.disconnects == {"SLOW_CONSUMER": 1}
        assert numbers((await hear(client, 2))[-1]["subscribe"]) == [*range(KEPT)]
        assert close_of(await client.frame()) == (3008, "slow")


async def test_of_a_client_that_does_not_read_its_answers_nothing_more_is_carried_out(
    embedded: EmbeddedFactory,
) -> None:
    """Short or long, in one message or in many: else the answers would lie here."""
    gateway = await start(embedded)
    many = range(3, 3003)
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        subscribe = {"id": 2, "subscribe": {"channel": "kept:a", **known(gateway, "kept:a")}}
        await say(client, {"id": 1, "connect": {}}, subscribe)
        (inside,) = parts_of(gateway).context.registry
        assert isinstance(inside, MultiplexedWebSocket)
        await wait_until(lambda: inside.buffered > BUFFER)
        before = gateway.counters.messages_received
        sending = asyncio.create_task(_say_each(client, [{"id": id_, "publish": PUBLICATION} for id_ in many]))
        await wait_until(lambda: not inside.reading)
        assert await stays_true(lambda: inside.session.open and gateway.counters.messages_received == before, 0.05)
        heard = await hear(client, many[-1])
        await sending
        assert [one["id"] for one in heard if "publish" in one] == list(many)
    assert gateway.counters.disconnects == {}


async def test_what_waits_for_a_client_to_read_is_published_when_it_has_gone(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with upgraded(gateway.port, "/connection/websocket", 1, receive_buffer=4096) as (client,):
        subscribe = {"id": 2, "subscribe": {"channel": "kept:a", **known(gateway, "kept:a")}}
        publish = [{"id": id_, "publish": PUBLICATION} for id_ in range(3, 13)]
        before = gateway.counters.messages_received
        await say(client, {"id": 1, "connect": {}}, subscribe, *publish)
        (inside,) = parts_of(gateway).context.registry
        assert isinstance(inside, Client)
        await wait_until(lambda: inside.buffered > BUFFER)
        assert await stays_true(lambda: gateway.counters.messages_received == before, 0.05)
    await wait_until(lambda: gateway.counters.messages_received == before + 10)


async def _say_each(client: RawWebSocket, commands: list[Said]) -> None:
    """Send commands in messages of their own."""
    for command in commands:
        await say(client, command)

"""Descriptors are used again at once: what is written past transports reaches no other client than it is meant for."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from relay.clients.client import Client
from relay.clients.context import Context
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.fan_outs import each_fan_out_and_loop
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, TEXT, RawWebSocket, upgraded
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

CHANNELS = 4
MESSAGES = 250
LEAVING = ("reset", "close", "closing handshake", "unread")


async def come_and_go(port: int, seed: int, seen: Counter[str], stop: asyncio.Event) -> None:
    """Be a client of one channel after the other, and check that each frame is one of its channel, and whole."""
    source = random.Random(seed)
    while not stop.is_set():
        channel = f"c{source.randrange(CHANNELS)}"
        way = source.choice(LEAVING)
        async with RawWebSocket(port, receive_buffer=4096 if way == "unread" else None) as raw:
            assert (await raw.upgrade(f"/ws/{channel}")).status == 101
            for _ in range(0 if way == "unread" else source.randrange(6)):
                frame = await raw.frame()
                name, _, filling = frame.payload.partition(b":")
                assert (frame.opcode, name.decode()) == (TEXT, channel)
                assert set(filling) <= set(channel[1:].encode())
                seen[channel] += 1
            if way == "unread":
                await asyncio.sleep(source.uniform(0, 0.03))  # at random: so much comes meanwhile
            elif way == "reset":
                raw.abort()
            elif way == "closing handshake":
                await raw.send_frame(CLOSE, b"\x03\xe8")


async def flood(sender: WebSocketClient, channel: str, listener: WebSocketClient) -> None:
    """Send messages of all sizes that say of which channel they are, not faster than a client reads them."""
    source = random.Random(channel)
    for number in range(MESSAGES):
        await sender.send(f"{channel}:" + channel[1:] * source.choice((10, 10, 10, 40_000)))
        await listener.receive(number - 10)


@each_fan_out_and_loop
@pytest.mark.usefixtures("each_fan_out")
async def test_no_byte_reaches_another_client(
    gateways: GatewayFactory, redis_server: RedisServer, prefix: str, event_loop: str
) -> None:
    options = {"max_new_connections_per_second": 0, "send_buffer_bytes": 200_000}
    (gateway,) = await gateways(1, broker_url=redis_server.url, broker_prefix=prefix, event_loop=event_loop, **options)
    seen: Counter[str] = Counter()
    stop = asyncio.Event()
    names = [f"c{number}" for number in range(CHANNELS)]
    urls = [f"{gateway.url}/ws/{name}" for name in names]
    async with connected(*urls) as senders, connected(*urls) as listeners:
        crowd = [asyncio.create_task(come_and_go(gateway.port, seed, seen, stop)) for seed in range(24)]
        await asyncio.gather(*(flood(*one) for one in zip(senders, names, listeners, strict=True)))
        for listener, name in zip(listeners, names, strict=True):
            received = await listener.receive(MESSAGES)
            assert {str(message).partition(":")[0] for message in received} == {name}
        stop.set()
        # A client of a channel that is quiet by now waits in vain.
        done, waiting = await asyncio.wait(crowd, timeout=1)
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert len(seen) == CHANNELS


@pytest.mark.usefixtures("each_fan_out")
@pytest.mark.parametrize("way", ["reset", "close", "closing handshake", "dropped", "dropped within a flush"])
async def test_the_next_client_with_a_descriptor_hears_its_own_channel_only(
    embedded: EmbeddedFactory, way: str
) -> None:
    """Nobody joins or leaves the first channel in between, so nothing but the client's leaving can tell."""
    (gateway,) = await embedded(1)
    context = parts_of(gateway).context

    async def publish(channel: str, text: str) -> None:
        """Publish a message, and deliver it at once."""
        await gateway.publish(channel, text)
        context.node.hub.flush()

    async with upgraded(gateway.port, "/ws/first", 3) as stayers, RawWebSocket(gateway.port) as leaver:
        client = await joined(context, leaver, "/ws/first")
        await publish("first", "1")
        assert (await leaver.frame()).payload == b"1"
        descriptor = descriptor_of(client)
        if way == "reset":
            leaver.abort()
        elif way == "closing handshake":
            await leaver.send_frame(CLOSE, b"\x03\xe8")
        elif way == "close":
            leaver.close()
        else:
            client.abort()
        if way == "dropped within a flush":
            await publish("first", "it has gone")
        await wait_until(lambda: client not in context.registry)
        leaver.close()
        with lower_ones_taken(descriptor) as let_go:
            follower = RawWebSocket(gateway.port)
            let_go()
            async with follower:
                assert descriptor_of(await joined(context, follower, "/ws/second")) == descriptor
                for channel, text in (("second", "for it"), ("first", "not for it"), ("second", "for it, too")):
                    await publish(channel, text)
                assert [(await follower.frame()).payload for _ in range(2)] == [b"for it", b"for it, too"]
        expected = [b"1", b"it has gone", b"not for it"] if way == "dropped within a flush" else [b"1", b"not for it"]
        for stayer in stayers:
            assert [(await stayer.frame()).payload for _ in expected] == expected


async def joined(context: Context, websocket: RawWebSocket, target: str) -> Client:
    """Upgrade a connection, and return the client of the gateway that it has become."""
    before = set(context.registry)
    assert (await websocket.upgrade(target)).status == 101
    (client,) = set(context.registry) - before
    assert isinstance(client, Client)
    return client


@contextmanager
def lower_ones_taken(descriptor: int) -> Iterator[Callable[[], None]]:
    """Take all descriptors up to this one, which is free; yield what lets go of it, so that it is the next to be used.

    Both ends of connections are in this process.
    """
    with ExitStack() as stack:
        while (taken := os.open(os.devnull, os.O_RDONLY)) < descriptor:
            stack.callback(os.close, taken)
        assert taken == descriptor
        yield partial(os.close, taken)


def descriptor_of(client: Client) -> int:
    """Return the descriptor of a client's socket."""
    assert client._transport is not None
    return int(client._transport.get_extra_info("socket").fileno())

"""Clients that send more than they may: read more slowly, and closed when that doesn't help."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relay import Gateway, protocols
from relay.clients.websocket import WebSocket
from relay.errors import Disconnect
from relay.limits.meter import SendingRates
from relay.limits.rate import Rate
from tests.clients.collecting import collect
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    close_of,
    encode_frame,
)

pytestmark = pytest.mark.usefixtures("short_close_timeout")

SLOWLY = Rate(50, 20)
"""Messages, or thousands of bytes: 20 at once, and 50 a second."""

NEVER = Rate(0.0001, 20)
"""20 at once, and for hours no more."""


@asynccontextmanager
async def limited(
    gateway: Gateway, messages: Rate | None = None, size: Rate | None = None, target: str = "/ws/c?echo=1"
) -> AsyncIterator[tuple[RawWebSocket, WebSocket]]:
    """Connect a client that may send so much; return both ends."""
    context = parts_of(gateway).context
    context.sending = SendingRates(messages, size, context.sending.patience)
    before = set(context.registry)
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade(target)).status == 101
        (connection,) = set(context.registry) - before
        assert isinstance(connection, WebSocket)
        yield client, connection


def throttled(gateway: Gateway) -> int:
    """Return how many clients are not read as they have sent too much."""
    return len(parts_of(gateway).context.throttled)


async def echoes(client: RawWebSocket, count: int) -> list[bytes]:
    """Return the payloads of the next messages."""
    return [(await client.frame()).payload for _ in range(count)]


async def test_a_client_beyond_its_rate_is_read_more_slowly_and_loses_nothing(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with limited(gateway, SLOWLY) as (client, connection):
        numbers = [b"%d" % number for number in range(60)]
        await client.send(b"".join(encode_frame(TEXT, number) for number in numbers))
        await wait_until(lambda: throttled(gateway))
        assert not connection.reading
        assert gateway.counters.messages_received < len(numbers)
        assert await echoes(client, len(numbers)) == numbers
        assert gateway.counters.limits_reached == {"messages": 1}
        await wait_until(lambda: not throttled(gateway))
        assert connection.reading


async def test_messages_in_fragments_count_once_whole(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with limited(gateway, NEVER) as (client, _):
        for _ in range(25):
            await client.send_frame(TEXT, b"one", fin=False)
            await client.send_frame(CONTINUATION, b"two", fin=False)
            await client.send_frame(CONTINUATION, b"three")
        assert await echoes(client, 20) == [b"onetwothree"] * 20
        await wait_until(lambda: throttled(gateway))
        # 20, and what it was granted before these were counted.
        assert await stays_true(lambda: gateway.counters.messages_received <= 23, 0.05)


@pytest.mark.parametrize("fragments", [1, 4])
async def test_bytes_count_however_they_come(embedded: EmbeddedFactory, fragments: int) -> None:
    (gateway,) = await embedded(1)
    async with limited(gateway, None, Rate(0.001, 100_000)) as (client, connection):
        message = bytes(40_000 // fragments)
        for _ in range(10):
            for number in range(fragments):
                opcode = BINARY if number == 0 else CONTINUATION
                sending = asyncio.create_task(client.send_frame(opcode, message, fin=number == fragments - 1))
                await asyncio.wait([sending], timeout=0.05)
                if not sending.done():
                    sending.cancel()
                    await asyncio.wait([sending])
        await wait_until(lambda: throttled(gateway))
        assert not connection.reading
        assert 2 <= gateway.counters.messages_received <= 4
        assert gateway.counters.limits_reached == {"bytes": 1}


async def test_a_client_of_several_channels_has_one_rate(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")
    (gateway,) = await embedded(1)
    async with limited(gateway, NEVER, target="/multiplexed") as (client, _):
        for number in range(40):
            request = {"id": number + 1, "publish": {"channel": f"c{number % 4}", "data": number}}
            await client.send_frame(TEXT, json.dumps(request).encode())
        await wait_until(lambda: throttled(gateway))
        assert 20 <= gateway.counters.messages_received <= 23


async def test_a_throttled_client_is_still_delivered_to(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with limited(gateway, NEVER, target="/ws/c") as (client, _):
        await client.send(encode_frame(TEXT, b"x") * 100)
        await wait_until(lambda: throttled(gateway))
        await gateway.publish("c", "hello")
        assert (await client.frame()).payload == b"hello"


async def test_others_are_not_throttled(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with limited(gateway, NEVER) as (flooder, _), limited(gateway, NEVER) as (healthy, _):
        await flooder.send(encode_frame(TEXT, b"x") * 100)
        await wait_until(lambda: throttled(gateway))
        await healthy.send_frame(TEXT, b"hello")
        while (await healthy.frame()).payload != b"hello":
            pass
        assert throttled(gateway) == 1


async def test_pings_of_a_throttled_client_wait_with_its_messages(embedded: EmbeddedFactory) -> None:
    """What it sends is taken in in order."""
    (gateway,) = await embedded(1)
    async with limited(gateway, SLOWLY) as (client, _):
        await client.send(encode_frame(TEXT, b"x") * 60 + encode_frame(PING, b"late"))
        while (await client.frame()).opcode != PONG:
            pass
        assert gateway.counters.messages_received == 60


@pytest.mark.parametrize("limit", ["messages", "bytes"])
async def test_a_client_that_goes_on_and_on_is_closed_with_1008(embedded: EmbeddedFactory, limit: str) -> None:
    (gateway,) = await embedded(1)
    context = parts_of(gateway).context
    context.sending = dataclasses.replace(context.sending, patience=0.2)
    rates = (SLOWLY, None) if limit == "messages" else (None, Rate(100, 200))
    async with limited(gateway, *rates) as (client, _), asyncio.TaskGroup() as tasks:

        async def flood() -> None:
            try:
                while True:
                    await client.send(encode_frame(TEXT, b"x" * 10) * 10)
                    await asyncio.sleep(0.01)  # a rate above both limits
            except OSError:
                pass

        flooding = tasks.create_task(flood())
        reason = f"too many {limit} a second, for too long"
        assert await client.close_frame() == (1008, reason)
        flooding.cancel()
    name = "MESSAGE_RATE" if limit == "messages" else "BYTE_RATE"
    assert gateway.counters.disconnects == {name: 1}
    assert gateway.counters.limits_reached == {limit: 1}
    await wait_until(lambda: gateway.counters.connections_open == 0)
    assert not throttled(gateway)


async def test_a_client_that_rests_in_between_is_never_closed(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    context = parts_of(gateway).context
    context.sending = dataclasses.replace(context.sending, patience=0.3)
    async with limited(gateway, Rate(200, 20)) as (client, _):
        for _ in range(5):
            await client.send(encode_frame(TEXT, b"x") * 40)
            await echoes(client, 40)
            await asyncio.sleep(0.1)  # as long as its burst takes to come back
        assert gateway.counters.disconnects == {}
        assert gateway.counters.limits_reached["messages"] > 1


async def test_a_drain_takes_in_what_was_read_of_a_throttled_client(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with limited(gateway, NEVER) as (client, connection):
        taken: list[bytes] = []
        connection._context.node.publish = collect(taken)  # type: ignore[method-assign]
        await client.send(encode_frame(TEXT, b"x") * 50)
        await wait_until(lambda: throttled(gateway))
        draining = asyncio.create_task(gateway.drain())
        assert await client.close_frame() == (1001, "going away")
        await draining
        assert len(taken) == 50


async def test_a_drain_does_not_lift_the_rates_of_a_throttled_client(embedded: EmbeddedFactory) -> None:
    """What was read is taken in at once; what it sends until it answers the close frame is held against its rates."""
    (gateway,) = await embedded(1)
    context = parts_of(gateway).context
    async with limited(gateway, NEVER) as (client, connection):
        await client.send(encode_frame(TEXT, b"x") * 50)
        await wait_until(lambda: throttled(gateway))
        assert not connection.prepare_to_close()
        await wait_until(connection.prepare_to_close)
        connection.close(Disconnect.GOING_AWAY)
        await client.send(encode_frame(TEXT, b"x") * 50)
        await wait_until(lambda: throttled(gateway) or not len(context.registry))
        assert throttled(gateway) == 1


async def test_what_was_read_of_a_throttled_client_is_published_though_it_has_gone(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    taken: list[bytes] = []
    async with leaving_nothing(gateway):
        async with limited(gateway, NEVER) as (client, connection):
            connection._context.node.publish = collect(taken)  # type: ignore[method-assign]
            await client.send(encode_frame(TEXT, b"x") * 50)
            await wait_until(lambda: throttled(gateway))
            connection.abort()
            del connection
        await wait_until(lambda: gateway.counters.connections_open == 0)
        await wait_until(lambda: len(taken) == 50)
        assert not throttled(gateway)


async def test_a_back_end_can_close_a_throttled_client(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with limited(gateway, NEVER, target="/ws/c") as (client, connection):
        await client.send(encode_frame(TEXT, b"x") * 50 + encode_frame(CLOSE, (1000).to_bytes(2, "big")))
        await wait_until(lambda: throttled(gateway))
        connection.session.close(Disconnect.FORCE_DISCONNECT)
        frames = await client.frames_to_the_end()
        assert close_of(frames[-1])[0] == 3503


async def test_a_stop_while_clients_are_throttled_ends_at_once(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, _ = await stack.enter_async_context(limited(gateway, NEVER))
        await client.send(encode_frame(TEXT, b"x") * 50)
        await wait_until(lambda: throttled(gateway))
        context = parts_of(gateway).context
        await gateway.stop()
        assert not len(context.throttled)


async def test_a_client_that_only_listens_has_no_meter(embedded: EmbeddedFactory) -> None:
    """Its pongs are no messages; most clients send no others."""
    (gateway,) = await embedded(1)
    async with limited(gateway, SLOWLY) as (client, connection):
        await client.send_frame(PONG)
        await client.send_frame(PING)
        assert (await client.frame()).opcode == PONG
        assert connection._reader.meter is None

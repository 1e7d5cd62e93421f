"""Messages from before that are more than a client's socket takes at once."""

from __future__ import annotations

from typing import Any

from relay import Gateway
from relay.clients.client import Client
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import upgraded

CHANNEL = "kept:a"
NAMESPACES = {"kept": {"history_size": 200, "history_bytes": 16 * 2**20}}

SIZE = 60_000
KEPT = 150
"""So many messages fill every buffer of the kernel."""


async def start(embedded: EmbeddedFactory, **settings: Any) -> Gateway:
    """Start a gateway with a channel that has 9 MB of messages."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES, **settings)
    await publish(gateway, range(KEPT))
    return gateway


async def publish(gateway: Gateway, numbers: range) -> None:
    """Publish large messages that begin with their numbers, each in a tick of its own."""
    for number in numbers:
        await gateway.publish(CHANNEL, str(number).ljust(SIZE))
        parts_of(gateway).context.node.hub.flush()


def only_client(gateway: Gateway) -> Client:
    """Return the one client of a gateway."""
    (client,) = parts_of(gateway).context.registry
    assert isinstance(client, Client)
    return client


async def test_a_websocket_gets_as_many_of_the_newest_as_may_wait_and_is_not_slow_for_them(
    embedded: EmbeddedFactory,
) -> None:
    """It could never come in otherwise: each time it would be closed before it had read a message."""
    gateway = await start(embedded, send_buffer_bytes=4 * 2**20)
    async with upgraded(gateway.port, f"/ws/{CHANNEL}?history=1000", 1, receive_buffer=4096) as (client,):
        await publish(gateway, range(KEPT, KEPT + 60))
        first = KEPT - 4 * 2**20 // SIZE
        numbers = [int((await client.frame()).payload) for _ in range(first, KEPT + 60)]
        assert numbers == [*range(first, KEPT + 60)]
    assert gateway.counters.disconnects == {}


async def test_at_least_the_newest_message_is_sent(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, send_buffer_bytes=70_000)
    await publish(gateway, range(KEPT, KEPT + 1))
    async with upgraded(gateway.port, f"/ws/{CHANNEL}?history=5", 1) as (client,):
        await publish(gateway, range(KEPT + 1, KEPT + 2))
        assert [int((await client.frame()).payload) for _ in range(2)] == [KEPT, KEPT + 1]


async def resuming(gateway: Gateway) -> EventStreamClient:
    """Return an event stream that has missed all messages, and reads slowly."""
    async with EventStreamClient(gateway.port, f"/sse/{CHANNEL}") as stream:
        epoch = (await stream.position()).partition(":")[0]
    await wait_until(lambda: not gateway.counters.connections_open)
    return EventStreamClient(gateway.port, f"/sse/{CHANNEL}?last_event_id={epoch}:0", receive_buffer=4096)


async def test_an_event_stream_gets_all_that_it_has_missed_however_much_that_is(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, send_buffer_bytes=70_000)
    async with await resuming(gateway) as stream:
        client = only_client(gateway)
        await wait_until(lambda: client.buffered > 70_000)
        await publish(gateway, range(KEPT, KEPT + 1))
        assert client.session.open
        numbers = [int(payload) for payload in await stream.receive(KEPT + 1)]
        assert numbers == [*range(KEPT + 1)]
        await publish(gateway, range(18))
        assert len(await stream.receive(KEPT + 19)) == KEPT + 19
        assert stream.missed == []


async def test_what_comes_behind_may_not_be_more_than_may_wait(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, send_buffer_bytes=70_000)
    async with await resuming(gateway) as stream:
        client = only_client(gateway)
        await wait_until(lambda: client.buffered > 70_000)
        assert client.session.open
        await publish(gateway, range(2))
        await wait_until(lambda: not client.session.open)
        assert gateway.counters.disconnects == {"SLOW_CONSUMER": 1}
        numbers = [int(payload) for payload in await stream.to_the_end()]
        assert numbers == [*range(KEPT)]
        assert stream.closed == (1013, "slow consumer")

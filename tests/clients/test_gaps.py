"""What clients of each kind are told of a gap that could not be filled."""

from __future__ import annotations

import asyncio

import pytest

from relay import Gateway
from relay.errors import BusUnavailable
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, upgraded
from tests.harness.websocket_client import connected

pytestmark = pytest.mark.usefixtures("short_close_timeout")

MISSED = (1012, "messages missed")


def gap(gateway: Gateway, *channels: str) -> None:
    """Let messages of channels be missing."""
    parts_of(gateway).context.node.gap(channels, 0.5)


async def test_a_websocket_of_the_channel_is_closed_with_1012_and_no_other(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/b") as (client, other):
        gap(gateway, "a", "c")
        assert await client.ended() == MISSED
        assert other.is_open
        assert gateway.counters.disconnects == {"MISSED": 1}
        await wait_until(lambda: gateway.counters.connections_closed == {1012: 1})
        assert not len(parts_of(gateway).context.missed_messages)


async def test_messages_that_were_heard_come_before_the_close(embedded: EmbeddedFactory) -> None:
    """Also when a write delay keeps them back."""
    (gateway,) = await embedded(1, write_delay=500)
    async with connected(f"{gateway.url}/ws/a") as (client,):
        for number in range(3):
            await gateway.publish("a", f"{number}")
        gap(gateway, "a")
        assert await client.ended() == MISSED
        assert client.received == ["0", "1", "2"]


async def test_a_client_that_leaves_while_it_waits_is_forgotten(embedded: EmbeddedFactory) -> None:
    """Half of them by a close frame, half without a word."""
    (gateway,) = await embedded(1)
    missed = parts_of(gateway).context.missed_messages
    async with upgraded(gateway.port, "/ws/a", 20) as clients:
        gap(gateway, "a")
        await wait_until(lambda: gateway.counters.disconnects == {"MISSED": 1})
        assert len(missed) == 19
        for client in clients[1::2]:
            client.abort()
        for client in clients[2::2]:
            await client.send_frame(8, (1000).to_bytes(2, "big"))
        await wait_until(lambda: not len(missed))
    assert not missed._due
    assert not any(missed._waiting.values())
    assert gateway.counters.disconnects["MISSED"] < 10


async def test_a_publisher_whose_message_fails_is_told_so_instead(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1012 says that all it had sent was published."""
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    async with upgraded(gateway.port, "/ws/a", 1) as (client,):
        (inside,) = parts_of(gateway).context.registry
        unsettled = {inside}
        monkeypatch.setattr(node, "unsettled", lambda: unsettled)
        await client.send_frame(TEXT, b"hello")
        gap(gateway, "a")
        await wait_until(lambda: parts_of(gateway).context.missed_messages._due)
        inside.publish_failed(BusUnavailable("away"))  # type: ignore[attr-defined]
        assert await client.close_frame() == (1013, "bus unavailable")
        assert not len(parts_of(gateway).context.missed_messages)


async def test_an_event_stream_is_told_in_order_and_goes_on(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with EventStreamClient(gateway.port, "/sse/a") as stream, EventStreamClient(gateway.port, "/sse/b") as other:
        await gateway.publish("a", "one")
        gap(gateway, "a")
        await gateway.publish("a", "two")
        await gateway.publish("b", "three")
        assert await stream.receive(2) == ["one", "two"]
        assert stream.missed == [(1, None)]
        assert await other.receive(1) == ["three"]
        assert other.missed == []


async def test_an_event_stream_of_a_history_is_told_where_it_goes_on(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces={"kept": {"history_size": 5}})
    async with EventStreamClient(gateway.port, "/sse/kept:a") as stream:
        await gateway.publish("kept:a", "one")
        await stream.receive(1)
        assert stream.events[0].last_id.endswith(":1")
        parts_of(gateway).context.missed_messages.tell(["kept:a"])
        await gateway.publish("kept:a", "two")
        await stream.receive(2)
        assert stream.missed == [(1, stream.events[0].last_id)]


async def test_an_operator_may_keep_websockets(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, on_gap="keep")
    async with connected(f"{gateway.url}/ws/a") as (client,), EventStreamClient(gateway.port, "/sse/a") as stream:
        gap(gateway, "a")
        await gateway.publish("a", "hello")
        assert await client.receive(1) == ["hello"]
        assert await stream.receive(1) == ["hello"]
        assert stream.missed == [(0, None)]
        assert client.is_open


async def test_with_no_time_to_spread_them_all_are_closed_at_once(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, gap_seconds=0)
    async with connected(*[f"{gateway.url}/ws/a"] * 20) as clients:
        gap(gateway, "a")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert {await client.ended() for client in clients} == {MISSED}


async def test_all_are_told_while_a_drain_goes_on(embedded: EmbeddedFactory) -> None:
    """A client is closed once, by whichever comes first."""
    (gateway,) = await embedded(1, drain_seconds=0.2)
    async with connected(*[f"{gateway.url}/ws/a"] * 10) as clients:
        gap(gateway, "a")
        await gateway.drain()
        endings = await asyncio.gather(*(client.ended() for client in clients))
        assert set(endings) <= {MISSED, (1001, "going away")}
    assert sum(gateway.counters.disconnects.values()) == 10

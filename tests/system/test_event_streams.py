"""Clients of server-sent events among others: over gateways, slow ones, stalled ones, and at the end."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack

import pytest

from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.event_source import EventStreamClient
from tests.harness.gateway_process import GatewayProcess
from tests.harness.history import check_history, first_disagreement, label_of, labelled
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import WebSocketClient, connected

SIZE = 32_000
"""Bytes of a message that fills buffers."""


async def flood(sender: WebSocketClient, listener: WebSocketClient, count: int) -> None:
    """Send large messages, not faster than somebody reads them."""
    for number in range(count):
        await sender.send(labelled("p", number, SIZE))
        await listener.receive(number - 20)
    await listener.receive(count)


async def test_all_kinds_of_clients_hear_the_same_on_all_gateways(cluster: list[GatewayProcess], channel: str) -> None:
    async with connected(*[f"{gateway.url}/ws/{channel}" for gateway in cluster]) as sockets, AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(EventStreamClient(gateway.port, f"/sse/{channel}")) for gateway in cluster
        ]
        polls = [PollClient(gateway.port, channel) for gateway in cluster]
        for poll in polls:
            await poll.poll(wait=0)
        sender, *others = sockets
        for number in range(100):
            await sender.send(labelled("p", number) if number % 2 else labelled("p", number).encode())
        histories = [await stream.receive(100) for stream in streams]
        histories += [await poll.receive(100) for poll in polls]
        histories += [await other.receive(100) for other in others]
        assert not any(check_history(history, {"p": 100}) for history in histories)
        assert first_disagreement(histories) is None
        assert sum(poll.missed for poll in polls) == 0


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_stalled_stream_is_ended_and_hurts_nobody(gateways: GatewayFactory, event_loop: str) -> None:
    (gateway,) = await gateways(1, event_loop=event_loop)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), EventStreamClient(gateway.port, "/sse/a") as healthy:
        reading = asyncio.create_task(healthy.receive(300, within=40))
        async with EventStreamClient(gateway.port, "/sse/a", receive_buffer=4096) as stalled:
            await flood(sender, listener, 300)
            # A client that reads again at once gets the beginning, without a hole, and why it ended.
            numbers = [label_of(message).number for message in await stalled.to_the_end()]
            assert numbers == list(range(len(numbers)))
            assert len(numbers) < 300
            assert stalled.closed == (1013, "slow consumer")
        assert not check_history(await reading, {"p": 300})
        assert not check_history(listener.received, {"p": 300})


async def test_a_stream_that_is_never_read_again_is_dropped(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 0.3)
    (gateway,) = await embedded(1, send_buffer_bytes=200_000)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener):
        async with EventStreamClient(gateway.port, "/sse/a", receive_buffer=4096):
            await flood(sender, listener, 300)
            assert gateway.counters.disconnects == {"SLOW_CONSUMER": 1}
            assert gateway.counters.deliveries_dropped["closed"] > 0
            await wait_until(lambda: gateway.counters.event_streams_open == 0)
        assert gateway.counters.connections_closed == {1013: 1}


async def test_a_stream_whose_buffer_makes_no_progress_is_dropped(embedded: EmbeddedFactory) -> None:
    """Less than the buffer's limit waits for it, so only time can tell; the gateway and the kernel both watch."""
    (gateway,) = await embedded(1, write_timeout=1, send_buffer_bytes=50_000_000)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener):
        async with EventStreamClient(gateway.port, "/sse/a", receive_buffer=4096):
            await flood(sender, listener, 300)
            await wait_until(lambda: gateway.counters.disconnects == {"WRITE_TIMEOUT": 1})
            await wait_until(lambda: gateway.counters.event_streams_open == 0)
        assert gateway.counters.deliveries_dropped == {}


async def test_with_the_drop_policy_a_slow_stream_stays_and_misses_the_newest(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, slow_consumer="drop", send_buffer_bytes=200_000)
    url = f"{gateway.url}/ws/a"
    client = EventStreamClient(gateway.port, "/sse/a", receive_buffer=4096)
    async with connected(url, url) as (sender, listener), client as slow:
        await flood(sender, listener, 300)
        dropped = gateway.counters.deliveries_dropped["skipped"]
        assert 0 < dropped < 300
        numbers = [label_of(message).number for message in await slow.receive(300 - dropped)]
        assert numbers == sorted(set(numbers))
        assert numbers[:3] == [0, 1, 2], "the oldest ones are kept"
        await wait_until(lambda: not len(parts_of(gateway).context.write_timeouts))
        await sender.send(labelled("p", 300))
        assert label_of((await slow.receive(301 - dropped))[-1]).number == 300


async def test_what_waits_for_a_stream_reaches_it_before_the_gateway_ends_it(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=50_000_000)
    url = f"{gateway.url}/ws/a"
    client = EventStreamClient(gateway.port, "/sse/a", receive_buffer=4096)
    async with connected(url, url) as (sender, listener), client as slow:
        await flood(sender, listener, 250)
        draining = asyncio.create_task(gateway.drain())
        await wait_until(lambda: gateway.counters.disconnects["GOING_AWAY"] == 3)
        assert [label_of(message).number for message in await slow.to_the_end()] == list(range(250))
        assert slow.closed == (1001, "going away")
        await draining


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_drain_ends_streams_at_an_even_pace(gateways: GatewayFactory, event_loop: str) -> None:
    (gateway,) = await gateways(1, drain_seconds=2, event_loop=event_loop)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(EventStreamClient(gateway.port, "/sse/a")) for _ in range(20)]
        began = time.monotonic()

        async def end(client: EventStreamClient) -> float:
            await client.to_the_end(within=20)
            return time.monotonic() - began

        ends = [asyncio.create_task(end(client)) for client in clients]
        gateway.signal(signal.SIGTERM)
        moments = sorted(await asyncio.gather(*ends))
        assert all(client.closed == (1001, "going away") for client in clients)
        # Two seconds from the first to the last: they can come later on a busy machine, but not all at once.
        assert moments[-1] - moments[0] > 1
        assert moments[10] - moments[0] > 0.4
        await wait_until(lambda: gateway.exit_code == 0)


async def test_a_back_end_closes_clients_of_all_kinds(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, api_keys=KEY)
    reader = EventStreamClient(gateway.port, "/sse/a?user=ann")
    async with connected(f"{gateway.url}/ws/a?user=ann") as (client,), reader as stream:
        first = await get(gateway.port, "/poll/a?user=ann&wait=0")
        poll = asyncio.create_task(get(gateway.port, f"/poll/a?user=ann&wait=20&cursor={first.json['cursor']}"))
        (subscription,) = parts_of(gateway).polling_clients
        await wait_until(lambda: subscription._waiting is not None)
        assert await call(gateway.port, "disconnect", {"user": "ann"}) == {"result": {}}
        await stream.to_the_end()
        assert stream.closed == await client.ended() == (3503, "force disconnect")
        assert (await poll).json["closed"] == {"code": 3503, "reason": "force disconnect"}

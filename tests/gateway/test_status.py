"""Looking up how a gateway is now."""

from __future__ import annotations

import asyncio
import pickle

from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected


async def test_bytes_that_wait_for_clients_are_found_at_all_of_them(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=50_000_000)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=4096) as slow:
        await slow.upgrade("/ws/a")
        assert (await gateway.snapshot()).gauges.client_buffer_bytes == 0
        for _ in range(300):
            await sender.send("x" * 32_000)
        await listener.receive(300)
        snapshot = await gateway.snapshot()
        assert 0 < snapshot.gauges.client_buffer_bytes <= 300 * 32_010
        assert snapshot.gauges.slow_consumers == 1
        assert snapshot.counters.bytes_delivered == 2 * 300 * 32_004


async def test_looking_at_many_connections_lets_others_have_their_turn(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)

    class Client:
        buffered = 3

    clients = [Client() for _ in range(2500)]
    parts.context.registry._clients.update(clients)  # type: ignore[arg-type]  # only their buffers are looked at
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count_turns())
    try:
        assert (await gateway.snapshot()).gauges.client_buffer_bytes == 7500
    finally:
        other.cancel()
        parts.context.registry._clients.clear()
    assert turns >= 3


async def test_a_gateway_without_its_bus_shows_which_link_is_down(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=f"redis://127.0.0.1:{free_port()}", max_connections=7)
    gauges = (await gateway.snapshot()).gauges
    assert (gauges.ready, gauges.bus_up, gauges.max_connections) == (0, 0, 7)
    assert gauges.bus_links == {"subscriptions": 0, "publications": 0}


async def test_what_waits_for_a_bus_that_is_away(embedded: EmbeddedFactory, own_redis: RedisServer) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, publish_timeout=60)
    await wait_until(lambda: gateway.ready)
    gauges = (await gateway.snapshot()).gauges
    assert (gauges.bus_up, gauges.bus_links) == (1, {"subscriptions": 1, "publications": 1})
    assert gauges.bus_servers == {own_redis.admin.info("server")["run_id"]: 1}
    assert (sum(gauges.bus_buffer_bytes.values()), gauges.bus_subscriptions) == (0, 2)  # its own
    async with connected(f"{gateway.url}/ws/a") as (client,):
        assert (await gateway.snapshot()).gauges.bus_subscriptions == 3
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        await client.send("x" * 1000)
        await wait_until(lambda: gateway.counters.messages_received == 1)
        gauges = (await gateway.snapshot()).gauges
        assert 1000 < gauges.bus_buffer_bytes["clients"] < 1200
        assert gauges.paused_publishers == 1
        await asyncio.to_thread(own_redis.start)
        await wait_until(lambda: gateway.counters.messages_published == 1)
    latency = gateway.counters.publish_latency
    assert latency.count == 1
    assert latency.seconds > 0.01  # the time without Redis belongs to it
    assert gateway.counters.bus_round_trips.count >= 1


async def test_a_snapshot_is_a_copy_that_can_be_sent_to_another_process(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    whole = pickle.loads(pickle.dumps(await gateway.snapshot()))
    whole.add(await gateway.snapshot())
    assert whole.gauges.processes == 2
    mine = await gateway.snapshot()
    mine.counters.add(whole.counters)
    mine.counters.gaps += 1
    assert gateway.counters.gaps == 0


async def test_the_process_is_still_there_when_the_gateway_has_stopped(embedded: EmbeddedFactory) -> None:
    """Whoever asks in its last moments must not see a total that goes down, or a start in 1970."""
    (gateway,) = await embedded(1)
    before = (await gateway.snapshot()).gauges
    await gateway.drain()
    after = (await gateway.snapshot()).gauges
    assert after.cpu_seconds >= before.cpu_seconds > 0
    assert (after.started_at, after.max_files) == (before.started_at, before.max_files)
    assert (after.ready, after.draining, after.drain_connections) == (0, 1, 0)

"""A gateway that is told to stop says goodbye to everyone, evenly, and loses nothing."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import GatewayProcess
from tests.harness.history import check_history, first_disagreement, label_of, labelled
from tests.harness.http_response import get
from tests.harness.raw_websocket import RawWebSocket, close_of
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected


class AcknowledgedPublisher:
    """Sends numbered messages until it is closed, and knows how many the gateway has surely read.

    A ping after each few messages: its answer means that everything before it was read.

    Attributes:
        sent: how many messages were sent.
        accepted: how many of them the gateway has read for certain.
    """

    def __init__(self, client: WebSocketClient, name: str) -> None:
        self._client = client
        self.name = name
        self.sent = 0
        self.accepted = 0

    async def run(self) -> None:
        """Publish until the connection ends."""
        try:
            while True:
                for _ in range(5):
                    self.sent += 1
                    await self._client.send(labelled(self.name, self.sent - 1))
                await self._client.flushed()
                self.accepted = self.sent
                await asyncio.sleep(0.01)  # a rate that the gateway keeps up with
        except ConnectionClosed:
            pass


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_drain_under_load_delivers_everything_accepted_at_an_even_pace(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory, event_loop: str
) -> None:
    leaving, staying = await gateways(
        2, broker_url=redis_server.url, broker_prefix=prefix, drain_seconds=2, event_loop=event_loop
    )
    async with (
        connected(*[f"{leaving.url}/ws/a"] * 10) as senders,
        connected(*[f"{leaving.url}/ws/a"] * 30) as guests,
        connected(*[f"{staying.url}/ws/a"] * 2) as listeners,
        connected(f"{staying.url}/ws/a") as (neighbour,),
    ):
        publishers = [AcknowledgedPublisher(client, f"p{number}") for number, client in enumerate(senders)]
        constant = AcknowledgedPublisher(neighbour, "neighbour")
        tasks = [asyncio.create_task(publisher.run()) for publisher in [*publishers, constant]]
        await wait_until(lambda: all(publisher.accepted > 100 for publisher in publishers))
        began = time.monotonic()
        assert await leaving.terminate() == 0
        took = time.monotonic() - began
        await asyncio.gather(*(client.ended() for client in [*senders, *guests]))
        assert {(client.close_code, client.close_reason) for client in [*senders, *guests]} == {(1001, "going away")}
        assert 1.5 < took < 30

        await neighbour.close()
        await asyncio.gather(*tasks)
        sent = {publisher.name: publisher.sent for publisher in [*publishers, constant]}
        accepted = {publisher.name: publisher.accepted for publisher in [*publishers, constant]}
        assert sum(accepted.values()) > 1000
        for client in listeners:
            await wait_until(lambda client=client: not check_history(client.received, accepted).lost)
            anomalies = check_history(client.received, sent)
            assert not anomalies.duplicated + anomalies.reordered + anomalies.unknown
        histories = [client.received for client in [*listeners, *guests]]
        assert first_disagreement(histories) is None
        # What a guest got is the common order without a hole, up to its end.
        for guest in guests:
            assert guest.received == listeners[0].received[: len(guest.received)]

        moments = sorted(client.closed_at - began for client in [*senders, *guests] if client.closed_at is not None)
        assert len(moments) == 40
        for number, moment in enumerate(moments):
            # None before its turn; a busy machine may make all of them late, but not as late as the last one.
            assert -0.01 < moment - number * 2 / 40 < 1.5, moments


async def test_a_draining_gateway_is_not_ready_and_then_takes_nobody(gateways: GatewayFactory) -> None:
    pair = await gateways(2, drain_delay=1, drain_seconds=1)
    await asyncio.gather(*map(check_drain, pair))


async def check_drain(gateway: GatewayProcess) -> None:
    """Drain a gateway and watch the order of things."""
    async with connected(*[f"{gateway.url}/ws/a"] * 4) as clients, RawWebSocket(gateway.port) as waiting:
        gateway.signal(signal.SIGTERM)
        ready = await gateway.ready(False)
        assert (ready.status, ready.json) == (
            503,
            {"ready": False, "reasons": ["draining"], "notes": [], "bus": "memory://"},
        )
        # Load balancers need a moment to notice: until then nobody is closed.
        assert (await get(gateway.port, "/healthz")).status == 200
        assert all(client.is_open for client in clients)
        async with RawWebSocket(gateway.port) as late:
            assert (await late.upgrade("/ws/a")).status == 101
            assert (await late.close_frame())[0] == 1001
        assert (await waiting.response()).status == 503
        with pytest.raises(ConnectionRefusedError):
            await get(gateway.port, "/healthz")
        await asyncio.gather(*(client.ended() for client in clients))
        await wait_until(lambda: gateway.exit_code == 0)


@pytest.mark.parametrize(("event_loop", "number"), [("uvloop", signal.SIGTERM), ("asyncio", signal.SIGINT)])
async def test_a_second_signal_ends_at_once(gateways: GatewayFactory, event_loop: str, number: signal.Signals) -> None:
    (gateway,) = await gateways(1, drain_seconds=30, event_loop=event_loop)
    async with connected(*[f"{gateway.url}/ws/a"] * 3):
        gateway.signal(number)
        await wait_until(lambda: gateway.records("draining"))
        gateway.signal(number)
        await wait_until(lambda: not gateway.running, 15)


async def test_an_idle_gateway_ends_at_once(gateways: GatewayFactory) -> None:
    pair = await gateways(2, drain_seconds=30)
    assert await asyncio.gather(*(gateway.terminate(within=15) for gateway in pair)) == [0, 0]
    assert all(gateway.records("stopped") for gateway in pair)


async def test_a_client_that_never_answers_does_not_hold_up_the_end(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 1.0)
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as deaf:
        await deaf.upgrade("/ws/a")
        async with asyncio.timeout(8):
            await gateway.drain()


async def test_what_waits_for_a_slow_client_reaches_it_before_its_close_frame(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=50_000_000)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=4096) as slow:
        await slow.upgrade("/ws/a")
        for number in range(250):
            await sender.send(labelled("p", number, 32_000))
        await listener.receive(250)
        draining = asyncio.create_task(gateway.drain())
        await wait_until(lambda: gateway.counters.disconnects["GOING_AWAY"] == 3)
        frames = await slow.frames_to_the_end()
        assert [label_of(frame.payload).number for frame in frames[:-1]] == list(range(250))
        assert close_of(frames[-1]) == (1001, "going away")
        await draining


async def test_a_drain_without_redis_ends(own_redis: RedisServer, gateways: GatewayFactory) -> None:
    """What can't be published is given up after the publish timeout, and its publisher was told."""
    pair = await gateways(2, broker_url=own_redis.url, publish_timeout=1)
    async with connected(*[f"{gateway.url}/ws/a" for gateway in pair]) as clients:
        own_redis.kill()
        await asyncio.gather(*(gateway.ready(False) for gateway in pair))
        for client in clients:
            await client.send("in vain")
        assert await asyncio.gather(*(gateway.terminate(within=8) for gateway in pair)) == [0, 0]
        for client in clients:
            code, _ = await client.ended()
            assert code in (1001, 1013)


async def test_stopping_ends_even_while_redis_vanishes(embedded: EmbeddedFactory, own_redis: RedisServer) -> None:
    """The links break in the very moment in which they are closed."""
    for _ in range(3):
        (gateway,) = await embedded(1, broker_url=own_redis.url, publish_timeout=1)
        await wait_until(lambda gateway=gateway: gateway.ready)
        own_redis.kill()
        async with asyncio.timeout(8):
            await gateway.drain()
        await asyncio.to_thread(own_redis.start)


async def test_an_embedded_gateway_leaves_no_task_behind(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    before = len(asyncio.all_tasks())
    one, two = await embedded(2, broker_url=own_redis.url)
    await wait_until(lambda: one.ready and two.ready)
    async with connected(f"{one.url}/ws/a", f"{two.url}/ws/a") as (sender, receiver):
        await sender.send("hello")
        assert await receiver.receive(1) == ["hello"]
        await one.drain()
        assert await sender.ended() == (1001, "going away")
        await two.stop()
        await receiver.ended()
    await wait_until(lambda: len(asyncio.all_tasks()) == before, what=lambda: asyncio.all_tasks())
    assert own_redis.channels("*") == 0

"""Pings find clients that are gone without a word, and leave the others alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.raw_websocket import PING, PONG, TEXT, RawWebSocket, upgraded
from tests.harness.websocket_client import connected


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_a_client_that_answers_no_ping_is_closed_with_1011(gateways: GatewayFactory, event_loop: str) -> None:
    (gateway,) = await gateways(1, ping_interval=2, ping_timeout=1.5, event_loop=event_loop)
    async with RawWebSocket(gateway.port) as silent, connected(f"{gateway.url}/ws/a") as (healthy,):
        await silent.upgrade("/ws/a")
        assert (await silent.frame()).opcode == PING
        assert await silent.close_frame() == (1011, "keepalive timeout")
        # It doesn't answer the close frame either.
        assert healthy.is_open


@pytest.mark.usefixtures("each_fan_out")
async def test_a_client_that_answers_or_talks_stays(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, ping_interval=0.5, ping_timeout=0.3)
    async with connected(f"{gateway.url}/ws/a") as (ordinary,), upgraded(gateway.port, "/ws/a", 2) as raws:
        tasks = [asyncio.create_task(talk(raws[0])), asyncio.create_task(answer(raws[1]))]
        assert await stays_true(lambda: gateway.counters.connections_open == 3 and ordinary.is_open, 2.0)
        for task in tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not gateway.counters.disconnects


async def talk(raw: RawWebSocket) -> None:
    """Send messages, and read nothing."""
    while True:
        await raw.send_frame(TEXT, b"still here")
        await asyncio.sleep(0.1)  # more often than pings come


async def answer(raw: RawWebSocket) -> None:
    """Answer pings."""
    while True:
        frame = await raw.frame()
        if frame.opcode == PING:
            await raw.send_frame(PONG, frame.payload)


async def test_a_client_that_vanished_is_forgotten(embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that neither reads nor closes: its close frame is never answered."""
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 1.0)
    (gateway,) = await embedded(1, ping_interval=0.3, ping_timeout=0.2)
    async with RawWebSocket(gateway.port) as gone:
        await gone.upgrade("/ws/a")
        await wait_until(lambda: gateway.counters.disconnects["KEEPALIVE_TIMEOUT"] == 1)
        await wait_until(lambda: gateway.counters.connections_open == 0, 8)
        assert gateway.counters.connections_closed[1011] == 1

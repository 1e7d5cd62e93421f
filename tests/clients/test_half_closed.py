"""Clients that close their side of the socket, and keep it."""

from __future__ import annotations

import socket

import pytest

from relay.clients.client import HIGH_WATER_BYTES
from relay.clients.websocket import WebSocket
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket

pytestmark = pytest.mark.usefixtures("short_close_timeout")


async def test_one_that_reads_nothing_is_dropped_though_its_transport_is_not_full(embedded: EmbeddedFactory) -> None:
    """It has no pings, and below the high-water mark no write timeout."""
    (gateway,) = await embedded(1, write_timeout=3600)
    for listening in gateway.listening_sockets:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # of the sockets that it accepts
    async with RawWebSocket(gateway.port, receive_buffer=4096) as client, RawWebSocket(gateway.port) as publisher:
        assert (await client.upgrade("/ws/c")).status == 101
        (connection,) = parts_of(gateway).context.registry
        assert isinstance(connection, WebSocket)
        assert (await publisher.upgrade("/ws/c")).status == 101
        while connection.stuck < HIGH_WATER_BYTES // 2:
            await publisher.send_frame(TEXT, b"x" * 1000)
            await publisher.send_frame(9)
            await publisher.frame()
        assert connection.stuck < HIGH_WATER_BYTES
        client.shutdown()
        await wait_until(lambda: connection not in parts_of(gateway).context.registry)

"""The probe tells a server that is silent from a machine that stands still."""

from __future__ import annotations

import asyncio
import time

from tests.harness.conditions import wait_until
from tests.harness.health_probe import HealthProbe
from tests.harness.tcp_proxy import TcpProxy

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    writer.close()


async def test_a_silent_server_is_a_stall_and_a_busy_prober_is_not() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1]) as proxy, HealthProbe(proxy.port) as probe:
        await wait_until(lambda: probe.answers > 5)
        time.sleep(0.5)  # noqa: ASYNC251 - this process stands still, not the server
        await wait_until(lambda: probe.answers > 10)
        assert probe.stall_seconds < 0.3
        proxy.black_hole = True
        await wait_until(lambda: probe.stall_seconds > 0.6)
        proxy.black_hole = False
        await wait_until(lambda: probe.answers > 15)
        assert probe.stall_seconds > 0.6

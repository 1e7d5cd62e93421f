"""The probe tells a server that is silent from a machine that stands still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.harness.conditions import wait_until
from tests.harness.health_probe import HealthProbe
from tests.harness.tcp_proxy import TcpProxy

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    writer.close()


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy in front of a server that is always well."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def test_a_silent_server_is_a_stall(proxy: TcpProxy) -> None:
    async with HealthProbe(proxy.port) as probe:
        await wait_until(lambda: probe.answers > 5)
        proxy.black_hole = True
        await wait_until(lambda: probe.stall_seconds > 0.6)
        proxy.black_hole = False
        await wait_until(lambda: probe.answers > 10)
        assert probe.stall_seconds > 0.6


async def test_a_prober_that_stands_still_blames_nobody(proxy: TcpProxy) -> None:
    """In whatever moment between question and answer it happens."""
    async with HealthProbe(proxy.port) as probe:
        for _ in range(15):
            answers = probe.answers
            await wait_until(lambda answers=answers: probe.answers > answers)
            time.sleep(0.2)  # noqa: ASYNC251 - this process stands still, not the server
            assert probe.stall_seconds < 0.15

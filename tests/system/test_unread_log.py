"""A log that no process reads any more: a pager that was left open, a shipper that hangs."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get, send_request

SMALLEST_PIPE = 4096


@asynccontextmanager
async def serving(port: int, log: int, **settings: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a gateway that writes its log to a file descriptor."""
    environment = {f"RELAY_{name.upper()}": str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relay", "serve", "--port", str(port), "--drain-seconds", "0"),
        stderr=log,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def alive(port: int) -> bool:
    """Return whether a gateway answers."""
    with suppress(OSError):
        async with asyncio.timeout(5):
            return (await get(port, "/healthz")).status == 200
    return False


async def make_entries(port: int) -> None:
    """Let a gateway write more than fits into the pipe: 40 entries of 200 bytes."""
    request = (
        f"GET /ws/%FF HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    for _ in range(40):
        assert (await send_request(port, request.encode())).status == 400


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_a_gateway_goes_on_and_ends_when_it_is_told(event_loop: str) -> None:
    """Writing to a full pipe would stop everything, signals included."""
    unread, log = os.pipe()
    fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    port = free_port()
    try:
        async with serving(port, log, event_loop=event_loop, log_level="debug") as process:
            await wait_until(lambda: alive(port))
            await make_entries(port)
            assert select.select([], [log], [], 0)[1] == []  # it is full
            await make_entries(port)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        os.close(unread)
        os.close(log)

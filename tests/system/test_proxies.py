"""Proxies and clients that keep their connections: what was used for something else becomes a WebSocket as well."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS, stays_true, wait_until
from tests.harness.haproxy import HAProxy
from tests.harness.http_response import parse_head, read_response
from tests.harness.inside import parts_of
from tests.harness.nginx import Nginx, told
from tests.harness.proxy_process import ProxyProcess
from tests.harness.raw_websocket import TEXT, RawWebSocket
from tests.harness.server_api import request

PROGRAMS = Path(__file__).parent / "clients"
PUBLISH = request("/publish/a", b"x", "Content-Type: text/plain")


@asynccontextmanager
async def behind(proxy: ProxyProcess) -> AsyncIterator[int]:
    """Run a proxy; the value is its port."""
    await asyncio.to_thread(proxy.__enter__)
    try:
        yield proxy.port
    finally:
        await asyncio.to_thread(proxy.__exit__, None, None, None)


async def served(port: int) -> None:
    """Do everything in turn that a relay does, fifteen times over."""
    for number in range(15):
        async with RawWebSocket(port) as client:
            await client.send(PUBLISH)
            assert (await client.response()).status == 200
        async with RawWebSocket(port) as client:
            assert (await client.upgrade("/ws/a?echo=1")).status == 101
            await client.send_frame(TEXT, b"%d" % number)
            assert (await client.frame()).payload == b"%d" % number
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/poll/a?wait=0", method="GET"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        status, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
    assert status == 200
    writer.transport.abort()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/sse/a", method="GET"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        status, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    writer.transport.abort()


def reused(gateway: Gateway) -> bool:
    """Tell whether a connection waits at the gateway for its next request."""
    parts = parts_of(gateway)
    return len(parts.front_door.http.connections) > parts.front_door.http.connections.handshakes


def test_the_page_tells_nginx_what_it_needs() -> None:
    directives = told()
    assert "proxy_http_version 1.1;" in directives
    assert "keepalive 32;" in [directive.strip() for directive in directives]


@pytest.mark.parametrize("keepalive", [True, False])
async def test_nginx(embedded: EmbeddedFactory, keepalive: bool) -> None:
    (gateway,) = await embedded(1, trusted_proxies="127.0.0.1")
    async with behind(Nginx(gateway.port, keepalive=keepalive)) as port:
        await served(port)
        async with RawWebSocket(port) as client:
            await client.send(PUBLISH)
            assert (await client.response()).status == 200
        # A connection that nginx doesn't keep is still there for a moment after its answer.
        await wait_until(lambda: reused(gateway) is keepalive)
        assert await stays_true(lambda: reused(gateway) is keepalive, 0.05)
    assert not gateway.counters.connections_refused


async def test_haproxy(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, trusted_proxies="127.0.0.1")
    async with behind(HAProxy(gateway.port)) as port:
        await wait_until(lambda: _ready(port))
        await served(port)
        await wait_until(lambda: reused(gateway))
    assert not gateway.counters.connections_refused


async def _ready(port: int) -> bool:
    """Tell whether HAProxy has found out that its gateway is well."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/readyz", method="GET"))
    try:
        return (await read_response(reader)).status == 200
    finally:
        writer.transport.abort()


async def test_aiohttp_as_a_client(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    base = f"http://127.0.0.1:{gateway.port}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        for _ in range(3):
            async with session.post(f"{base}/publish/a", data="x", headers={"Content-Type": "text/plain"}) as answer:
                assert (await answer.json())["channel"] == "a"
            async with session.ws_connect(f"{base}/ws/a?echo=1") as socket:
                await socket.send_str("hello")
                assert await socket.receive_str(timeout=10) == "hello"


@pytest.mark.parametrize(
    ("program", "source"), [("node", "used_connection.cjs"), ("node", "ws_agent.cjs"), ("java", "UsedConnection.java")]
)
async def test_clients_of_other_languages(embedded: EmbeddedFactory, program: str, source: str) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    if program == "java" and shutil.which("javac") is None:
        pytest.skip("java is here without its compiler: apt-get install default-jdk-headless")
    (gateway,) = await embedded(1)
    done = await asyncio.to_thread(
        subprocess.run,
        [found, str(PROGRAMS / source), f"127.0.0.1:{gateway.port}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "NODE_PATH": "/usr/share/nodejs"},  # where Debian's packages lie
    )
    if done.returncode == 3:
        pytest.skip("the package `ws` is not installed: apt-get install node-ws")
    assert (done.returncode, done.stdout.strip()) == (0, "hello"), done.stderr
    assert gateway.counters.connections_accepted == 1
    assert not gateway.counters.connections_refused

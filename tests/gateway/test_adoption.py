"""The adoption of accepted sockets by the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from relay.gateway.adoption import Adoption
from tests.conftest import EmbeddedFactory
from tests.harness.raw_websocket import RawWebSocket


class Protocol(asyncio.Protocol):
    """Notes its transport."""

    def __init__(self) -> None:
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


@pytest.fixture
def pair() -> Iterator[tuple[socket.SocketType, socket.socket]]:
    """Return the two ends of a connection: one as the listener accepts it, and that of its client."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        accepted.setblocking(False)
        number = accepted.detach()
        yield socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, number), client


async def test_the_protocol_has_its_transport_in_the_same_turn(
    pair: tuple[socket.SocketType, socket.socket],
) -> None:
    loop, protocol = asyncio.get_running_loop(), Protocol()
    adoption = Adoption(loop, protocol, pair[0])
    finished: list[object] = []
    loop.call_soon(lambda: finished.append(adoption.finish()))
    await asyncio.sleep(0)
    assert isinstance(protocol.transport, asyncio.Transport)
    assert finished == [None]
    protocol.transport.close()


class Slow:
    """An event loop that needs more turns than one for a transport, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.opened = asyncio.Event()
        self.done = False
        self._fails = fails

    async def connect_accepted_socket(self, _factory: object, _accepted: object) -> None:
        waiter = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(waiter.set_result, None)
        await waiter
        if self._fails:
            raise RuntimeError("planted")
        await self.opened.wait()
        self.done = True


async def test_a_loop_that_takes_longer_goes_on_in_a_task(pair: tuple[socket.SocketType, socket.socket]) -> None:
    slow: Any = Slow()
    adoption = Adoption(slow, Protocol(), pair[0])
    task = adoption.finish()
    assert task is not None
    slow.opened.set()
    await task
    assert slow.done
    pair[0].close()


async def test_a_fault_in_one_is_logged(
    pair: tuple[socket.SocketType, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    slow: Any = Slow(fails=True)
    adoption = Adoption(slow, Protocol(), pair[0])
    await asyncio.sleep(0)
    assert adoption.finish() is None
    assert "planted" in caplog.text
    pair[0].close()


async def test_a_client_that_is_gone_already_is_let_go(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gateway,) = await embedded(1)
    loop = asyncio.get_running_loop()
    closed = 0

    async def gone(_factory: object, _accepted: object) -> None:
        nonlocal closed
        closed += 1
        raise OSError(22, "Invalid argument")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "connect_accepted_socket", gone, raising=False)
        async with RawWebSocket(gateway.port) as client:
            await client.end()
    assert closed == 1
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/ws/a")).status == 101


async def test_a_client_comes_in_where_adopting_takes_longer(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gateway,) = await embedded(1)
    loop = asyncio.get_running_loop()
    adopt = loop.connect_accepted_socket
    waited = 0

    async def later(factory: Any, accepted: Any) -> object:
        nonlocal waited
        while waited < 5:
            waited += 1
            waiter = loop.create_future()
            loop.call_later(0.001, waiter.set_result, None)
            await waiter
        return await adopt(factory, accepted)

    monkeypatch.setattr(loop, "connect_accepted_socket", later, raising=False)
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/ws/a")).status == 101
    assert waited == 5


async def test_waiting_ends_when_all_have_their_transports(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    listener = gateway._listener
    assert listener is not None
    slow: Any = Slow()
    task = asyncio.get_running_loop().create_task(slow.connect_accepted_socket(None, None))
    listener._adopting.add(task)
    waiting = asyncio.get_running_loop().create_task(listener.wait_adopted())
    await asyncio.sleep(0)
    assert not waiting.done()
    slow.opened.set()
    await waiting
    listener._adopting.discard(task)

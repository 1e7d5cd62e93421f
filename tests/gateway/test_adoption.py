"""The adoption of accepted sockets by the event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import uvloop

from relay.gateway.adoption import AcceptedSocket, Adoption
from relay.gateway.listener import _accept
from tests.conftest import EmbeddedFactory
from tests.harness.raw_websocket import RawWebSocket

Kind = TypeVar("Kind", bound=AcceptedSocket)


class Protocol(asyncio.Protocol):
    """Notes its transport."""

    def __init__(self) -> None:
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


def accept_as(kind: type[Kind], listening: socket.socket) -> Kind:
    """Return the next client's socket, of a kind that the listener makes."""
    accepted, _ = listening.accept()
    return kind(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, accepted.detach())


@pytest.fixture
def pair() -> Iterator[tuple[AcceptedSocket, socket.socket]]:
    """Return the two ends of a connection: one as the listener accepts it, and that of its client."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        yield accept_as(AcceptedSocket, server), client


async def test_the_protocol_has_its_transport_in_the_same_turn(
    pair: tuple[AcceptedSocket, socket.socket],
) -> None:
    loop, protocol = asyncio.get_running_loop(), Protocol()
    adoption = Adoption(loop, protocol, pair[0])
    finished: list[object] = []
    loop.call_soon(lambda: finished.append(adoption.finish()))
    await asyncio.sleep(0)
    assert isinstance(protocol.transport, asyncio.Transport)
    assert finished == [None]
    protocol.transport.close()


async def block_when_adopted() -> bool:
    """Adopt a client's socket, which blocks, and return whether it still does then."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = _accept(server)
        assert os.get_blocking(accepted.fileno())
        protocol = Protocol()
        adoption = Adoption(asyncio.get_running_loop(), protocol, accepted)
        await asyncio.sleep(0)
        adoption.finish()
        assert protocol.transport is not None
        blocks = os.get_blocking(accepted.fileno())
        protocol.transport.close()
        await asyncio.sleep(0)
        return blocks


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_event_loop_makes_a_socket_not_block(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """So the listener need not, which would be a system call more for each client."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert not runner.run(block_when_adopted())


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


async def test_a_loop_that_takes_longer_goes_on_in_a_task(pair: tuple[AcceptedSocket, socket.socket]) -> None:
    slow: Any = Slow()
    adoption = Adoption(slow, Protocol(), pair[0])
    task = adoption.finish()
    assert task is not None
    slow.opened.set()
    await task
    assert slow.done
    pair[0].close()


async def test_a_fault_in_one_is_logged(
    pair: tuple[AcceptedSocket, socket.socket], caplog: pytest.LogCaptureFixture
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


class Owned(AcceptedSocket):
    """Notes what an event loop does with it when its client has left."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.ended_by: list[str] = []

    def close(self) -> None:
        self.ended_by.append("close")
        super().close()

    def detach(self) -> int:
        self.ended_by.append("detach")
        return super().detach()


async def ends_of_a_client() -> list[str]:
    """Adopt a client, let it leave, and return how the event loop has let its socket go."""
    left = asyncio.get_running_loop().create_future()

    class Leaving(asyncio.Protocol):
        def connection_lost(self, _exc: Exception | None) -> None:
            left.set_result(None)

    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()):
            accepted = accept_as(Owned, server)
            adoption = Adoption(asyncio.get_running_loop(), Leaving(), accepted)
            await asyncio.sleep(0)
            assert adoption.finish() is None
        await left
        await asyncio.sleep(0)  # the socket is let go behind the protocol
        assert accepted.fileno() == -1
    return accepted.ended_by


@pytest.mark.parametrize(
    ("new_loop", "ended_by"), [(asyncio.new_event_loop, ["close"]), (uvloop.new_event_loop, ["detach"])]
)
def test_a_descriptor_is_closed_once(new_loop: Callable[[], asyncio.AbstractEventLoop], ended_by: list[str]) -> None:
    """uvloop closes it by its number. If it closed the object, too, that could be another thread's new file."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(ends_of_a_client()) == ended_by


def test_event_loops_compare_plain_numbers(pair: tuple[AcceptedSocket, socket.socket]) -> None:
    """Enumerations, which `socket.socket` has, would take a third of what it takes to adopt a client."""
    asked = [pair[0].family, pair[0].type, pair[0].proto]
    assert asked == [socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP]
    assert {type(number) for number in asked} == {int}
    pair[0].close()


def test_the_listener_accepts_such_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, address = _accept(server)
        assert (type(accepted), address) == (AcceptedSocket, "127.0.0.1")
        accepted.close()

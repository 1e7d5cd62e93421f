"""The hostile clients, in a process of their own, which attack and rest as they are told."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

from tests.fuzz.grammar.websocket import KEY

ADDRESSES: Final = 50
"""From so many addresses they come, 127.0.1.1 and on; the healthy clients come from 127.0.0.1."""

NICENESS: Final = 10
"""They stand for other machines: where there are few processors they must not take those of the healthy clients."""

_RESET: Final = struct.pack("ii", 1, 0)

Failure = (OSError, EOFError, TimeoutError)
"""What becomes of a hostile connection."""


class Wire:
    """One hostile connection; dropped with a reset at the end of its block.

    Args:
        port: of the gateway.
        receive_buffer: bytes that the kernel may hold unread; None: its default.
    """

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self._port = port
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Wire:
        with suppress(OSError):  # all of this address are in use
            self._socket.bind((f"127.0.1.{random.randint(1, ADDRESSES)}", 0))
        try:
            await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        except BaseException:
            self._socket.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Send bytes, as soon as there is room for them."""
        await self._loop.sock_sendall(self._socket, data)

    async def read(self) -> bytes:
        """Return what has come.

        Raises:
            EOFError: the gateway has closed its side.
        """
        data = await self._loop.sock_recv(self._socket, 65536)
        if not data:
            raise EOFError
        return data

    async def swallow(self) -> None:
        """Read to the end."""
        with suppress(*Failure):
            while True:
                await self.read()

    async def ask(self, request: bytes) -> bytes:
        """Send a request, and return what comes first."""
        await self.send(request)
        return await self.read()

    async def upgrade(self, target: str, *headers: str) -> bytes:
        """Ask for a WebSocket, and return what comes first."""
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", *headers]
        lines += [f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", "", ""]
        return await self.ask("\r\n".join(lines).encode())


Visit = Callable[[int], Awaitable[None]]
"""What one hostile client does from its connection to its end: a function of the port."""


class _Attackers:
    """All hostile clients of one attack."""

    def __init__(self, port: int, visit: Visit, clients: int, pause: float) -> None:
        self._port = port
        self._visit = visit
        self._clients = clients
        self._pause = pause
        self.visits = 0

    async def run(self, line: Connection) -> None:
        """Attack and rest as the line says."""
        loop = asyncio.get_running_loop()
        orders: asyncio.Queue[str] = asyncio.Queue()
        loop.add_reader(line.fileno(), lambda: orders.put_nowait(line.recv()))
        tasks: list[asyncio.Task[None]] = []
        while (order := await orders.get()) != "end":
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            tasks = [asyncio.create_task(self._go_on()) for _ in range(self._clients * (order == "attack"))]
            line.send(self.visits)

    async def _go_on(self) -> None:
        """Visit the gateway again and again."""
        await asyncio.sleep(random.random() * self._pause)
        while True:
            self.visits += 1
            with suppress(*Failure):
                await self._visit(self._port)
            await asyncio.sleep(self._pause)


class Attackers:
    """The hostile clients, from outside. A context manager.

    Args:
        port: of the gateway.
        visit: see `Visit`; a function of a module.
        clients: how many there are at a time.
        pause: seconds before a client comes again.
    """

    def __init__(self, port: int, visit: Visit, clients: int, pause: float) -> None:
        self._line, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_run, args=(port, visit, clients, pause, theirs), daemon=True)

    def __enter__(self) -> Attackers:
        self._process.start()
        self.order("rest")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def order(self, order: str) -> int:
        """Let them `attack` or `rest`; return how many visits have begun so far."""
        self._line.send(order)
        if not self._line.poll(60):
            raise TimeoutError("the attackers don't answer")
        visits: int = self._line.recv()
        return visits


def _run(port: int, visit: Visit, clients: int, pause: float, line: Connection) -> None:
    os.nice(NICENESS)
    asyncio.run(_Attackers(port, visit, clients, pause).run(line))

"""The hostile clients, in a process of their own, which attack and rest as they are told."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import ClassVar, Final

from tests.fuzz.grammar.websocket import KEY

ADDRESSES: Final = 50
"""From so many addresses they come, 127.0.1.1 and on; the healthy clients come from 127.0.0.1."""

NICENESS: Final = 10
"""They stand for other machines: where there are few processors they must not take those of the healthy clients."""

_RESET: Final = struct.pack("ii", 1, 0)

Failure = (OSError, EOFError, TimeoutError)
"""What becomes of a hostile connection."""


class Repelled(Exception):
    """The gateway has refused a hostile client.

    Args:
        status: of its response.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class Wire:
    """One hostile connection; dropped with a reset at the end of its block.

    Args:
        port: of the gateway.
        receive_buffer: bytes that the kernel may hold unread; None: its default.

    Attributes:
        done: what all of this process have done: `connections` that were made, `bytes` that were sent.
    """

    done: ClassVar[Counter[str]] = Counter()

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
        self.done["connections"] += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Send bytes, as soon as there is room for them."""
        await self._loop.sock_sendall(self._socket, data)
        self.done["bytes"] += len(data)

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

    async def ask(self, request: bytes, status: int | None = None) -> None:
        """Send a request, and read what comes first.

        Args:
            request: with its body.
            status: of the response that lets the attack go on; None: any.

        Raises:
            Repelled: the status is another one.
        """
        await self.send(request)
        answer = await self.read()
        if status is not None and not answer.startswith(b"HTTP/1.1 %d " % status):
            raise Repelled(answer[9:12].decode("latin-1"))

    async def upgrade(self, target: str, status: int = 101) -> None:
        """Ask for a WebSocket; status and error as in `ask`."""
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", "", ""]
        await self.ask("\r\n".join(lines).encode(), status)


Visit = Callable[[int], Awaitable[None]]
"""What one hostile client does from its connection to its end: a function of the port."""


class _Attackers:
    """All hostile clients of one attack."""

    def __init__(self, port: int, visit: Visit, clients: int, pause: float) -> None:
        self._port = port
        self._visit = visit
        self._clients = clients
        self._pause = pause
        self._refused: Counter[str] = Counter()

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
            line.send(self._refused + Wire.done)

    async def _go_on(self) -> None:
        """Visit the gateway again and again."""
        await asyncio.sleep(random.random() * self._pause)
        while True:
            try:
                await self._visit(self._port)
            except Failure:
                pass
            except Repelled as repelled:
                self._refused[repelled.status] += 1
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

    def order(self, order: str) -> Counter[str]:
        """Let them `attack` or `rest`; return what they have done so far, and their refusals, by status."""
        self._line.send(order)
        if not self._line.poll(60):
            raise TimeoutError("the attackers don't answer")
        met: Counter[str] = self._line.recv()
        return met


def _run(port: int, visit: Visit, clients: int, pause: float, line: Connection) -> None:
    os.nice(NICENESS)
    asyncio.run(_Attackers(port, visit, clients, pause).run(line))

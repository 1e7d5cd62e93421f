"""The control: an echo server that nobody attacks. What becomes slower there becomes slower because of the machine."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Final

CLIENTS: Final = 20
RATE: Final = 10.0
"""Messages that each client sends in a second."""

_MESSAGE: Final = bytes(24)
"""As long as those of the healthy clients."""


class EchoServer:
    """The server, in a process of its own. A context manager.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self) -> None:
        self._line, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
        self.port = 0

    def __enter__(self) -> EchoServer:
        self._process.start()
        if not self._line.poll(60):
            raise TimeoutError("the echo server doesn't start")
        self.port = self._line.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process.pid is not None
        return self._process.pid


class _Echo(asyncio.Protocol):
    """One connection to the server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class EchoClient(asyncio.Protocol):
    """One client of the echo server, which talks as evenly as a healthy client of the gateway.

    Args:
        latencies: it adds to them the seconds from the time at which each message was due to its coming back.
    """

    def __init__(self, latencies: list[float]) -> None:
        self.latencies = latencies
        self._due: deque[float] = deque()
        self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._bytes += len(data)
        while self._bytes >= len(_MESSAGE):
            self._bytes -= len(_MESSAGE)
            self.latencies.append(now - self._due.popleft())

    def waiting(self, now: float) -> list[float]:
        """Return for how many seconds each message has waited that isn't back."""
        return [now - due for due in self._due]

    async def talk(self) -> None:
        """Send again and again, until cancelled."""
        due = time.perf_counter() + random.random() / RATE
        while True:
            await asyncio.sleep(due - time.perf_counter())
            self._due.append(due)
            self._transport.write(_MESSAGE)
            due += 1 / RATE


def _serve(line: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
        line.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())

"""A proxy of a network that treats some HTTP requests badly, for tests without an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Literal, Self

Treatment = Literal["pass", "refuse", "hold"]

_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LOG_IN = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\nConnection: close\r\n\r\nLog in!"
_READ_BYTES = 65536


class PickyProxy:
    """Forwards connections to a port of 127.0.0.1. A context manager; attributes may be changed at any time.

    Args:
        target: port.

    Attributes:
        upgrades: what happens to requests for a WebSocket: they pass, are refused, or get no answer.
        captive: whether all others are answered with a page, as by a hotel that wants its guests to log in.
        answers_to_lose: to how many POSTs to come the answer gets lost, with its connection.
        held: requests for a WebSocket that get no answer, and are still there.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self.upgrades: Treatment = "pass"
        self.captive = False
        self.answers_to_lose = 0
        self.held = 0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Abort all connections."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()
        await self._server.wait_closed()

    async def _cut(self) -> None:
        tasks = dict(self._tasks)
        for task, writer in tasks.items():
            task.cancel()
            writer.transport.abort()  # a task that hasn't begun closes nothing
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours: of its own the server would report each one that is cancelled.
        task = self._loop.create_task(self._treat(reader, writer))
        self._tasks[task] = writer
        task.add_done_callback(self._tasks.pop)

    async def _treat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                upgrade = b"\r\nupgrade: websocket" in head.lower()
                if upgrade and self.upgrades == "hold":
                    self.held += 1
                    try:
                        await reader.read()
                    finally:
                        self.held -= 1
                elif upgrade and self.upgrades == "refuse":
                    writer.write(_REFUSAL)
                elif self.captive and not upgrade:
                    writer.write(_LOG_IN)
                else:
                    await self._forward(head, reader, writer)
                await writer.drain()
            finally:
                writer.close()

    async def _forward(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
        forgotten = False

        async def to_target(data: bytes) -> None:
            nonlocal forgotten
            while data:
                if data.startswith(b"POST ") and self.answers_to_lose > 0:
                    self.answers_to_lose -= 1
                    forgotten = True
                target_writer.write(data)
                await target_writer.drain()
                data = await reader.read(_READ_BYTES)
            target_writer.write_eof()

        talking = self._loop.create_task(to_target(head))
        try:
            while (data := await target_reader.read(_READ_BYTES)) and not forgotten:
                writer.write(data)
                await writer.drain()
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            target_writer.close()

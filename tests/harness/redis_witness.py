"""What a Redis really published: a bare subscriber that no fault of a test reaches."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import hiredis

from relay.brokers.envelope import open_envelope


class RedisWitness:
    """Subscribed to one channel of a Redis. An async context manager.

    Args:
        port: of the Redis.
        channel: name on the bus, prefix included.

    Attributes:
        payloads: of all messages, in the order in which Redis took them.
    """

    def __init__(self, port: int, channel: str) -> None:
        self._port = port
        self._channel = channel
        self._task: asyncio.Task[None] | None = None
        self.payloads: list[bytes] = []

    async def __aenter__(self) -> Self:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(hiredis.pack_command(("SUBSCRIBE", self._channel)))  # type: ignore[arg-type]
        subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._read(reader, subscribed))
        await subscribed
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()
        if self._task is not None:
            await self._task

    async def _read(self, reader: asyncio.StreamReader, subscribed: asyncio.Future[None]) -> None:
        parser = hiredis.Reader()
        while data := await reader.read(65536):
            parser.feed(data)
            while (reply := parser.gets()) is not False:
                if reply[0] == b"message":
                    self.payloads.append(open_envelope(self._channel, reply[2]).payload)
                elif not subscribed.done():
                    subscribed.set_result(None)

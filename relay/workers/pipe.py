"""The line between the supervisor and one worker: a socket pair that carries pickled objects.

It closes with either process, however that ends, so each notices when the other is gone. Nothing queues up in it: each
side waits for an answer before it asks again.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from contextlib import suppress
from typing import Any, Self

_LENGTH = struct.Struct("!I")


class Link:
    """One end of the line, inside an event loop; see `open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        """Take over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, what: object) -> None:
        """Send an object; into the void when the other process is gone."""
        if not self._writer.is_closing():
            self._writer.write(encode(what))

    async def receive(self) -> Any:
        """Return the next object; None when the other process is gone."""
        try:
            (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return pickle.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Send what waits, and hang up."""
        self._writer.close()
        with suppress(ConnectionError):  # the other process is gone
            await self._writer.wait_closed()


def encode(what: object) -> bytes:
    """Return an object as it is sent."""
    data = pickle.dumps(what)
    return _LENGTH.pack(len(data)) + data


def receive_blocking(end: socket.socket) -> Any:
    """Return the first object, before there is an event loop.

    Raises:
        EOFError: the other process is gone.
    """
    (size,) = _LENGTH.unpack(_read(end, _LENGTH.size))
    return pickle.loads(_read(end, size))


def _read(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = end.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data

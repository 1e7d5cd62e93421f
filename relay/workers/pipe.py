"""The pipe between the supervisor and one worker: a socket pair that carries pickled messages.

It closes when either process ends, for whatever reason, so each notices that the other is gone. Its buffer needs no
limit: each side waits for an answer before it asks again.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from contextlib import suppress
from typing import Any, Self

_LENGTH = struct.Struct("!I")


class Pipe:
    """One end of the pipe, inside an event loop; see `open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        """Take over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, message: object) -> None:
        """Send a message; do nothing when the other process is gone."""
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    async def receive(self) -> Any:
        """Return the next message; None when the other process is gone."""
        try:
            (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return pickle.loads(await self._reader.readexactly(size))  # noqa: S301  # from a process of this relay, over a socket pair
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Send what is buffered, and close this end."""
        self._writer.close()
        with suppress(ConnectionError):  # the other process is gone
            await self._writer.wait_closed()


def encode(message: object) -> bytes:
    """Return a message as it is sent: its length in 4 bytes, then its pickle."""
    data = pickle.dumps(message)
    return _LENGTH.pack(len(data)) + data


def receive_blocking(end: socket.socket) -> Any:
    """Return the first message, before there is an event loop.

    Raises:
        EOFError: the other process is gone.
    """
    (size,) = _LENGTH.unpack(_read(end, _LENGTH.size))
    return pickle.loads(_read(end, size))  # noqa: S301  # from a process of this relay, over a socket pair


def _read(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = end.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data

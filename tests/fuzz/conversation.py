"""One input over a real socket: what is sent, what comes back, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

from tests.fuzz.case import Case, Ending, Reading
from tests.fuzz.replies import InvalidReply, is_stream, read_replies

PATIENCE_SECONDS = 120.0
"""How long a connection may last: twice as long as any deadline of a gateway, for machines that are busy."""

UNREAD_SECONDS = 0.5
"""How long a client leaves what is written to it before it reads at all, if it doesn't read at once."""

STAYING = (Ending.SILENCE, Ending.PONGS)


class Conversation:
    """One connection to a gateway.

    Args:
        port: of the gateway.
        case: what is sent.
    """

    def __init__(self, port: int, case: Case) -> None:
        self._port = port
        self._case = case
        self._said = bytearray()
        self._reset = False

    async def run(self, patience: float = PATIENCE_SECONDS) -> str | None:
        """Send the input, and return what is wrong with what comes of it; None: nothing.

        Args:
            patience: seconds after which the connection counts as stuck.
        """
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.timeout(patience):
                    await loop.sock_connect(client, ("127.0.0.1", self._port))
                    await asyncio.gather(self._send(client), self._read(client))
            except TimeoutError:
                return f"a connection is stuck: {self._case}"
            except ConnectionError:
                self._reset = True
        try:
            read_replies(bytes(self._said))
        except InvalidReply as error:
            if not self._reset:  # else what was on its way may be lost
                return f"{error}, said to {self._case}"
        return None

    async def _send(self, client: socket.socket) -> None:
        loop, case = asyncio.get_running_loop(), self._case
        with suppress(ConnectionError, OSError):
            for piece in case.pieces:
                await loop.sock_sendall(client, piece)
                await asyncio.sleep(0)
            if case.ending is Ending.EOF:
                client.shutdown(socket.SHUT_WR)
            elif case.ending is Ending.RESET:
                self._drop(client)

    async def _read(self, client: socket.socket) -> None:
        """Read to the end; an event stream has none as long as its client is there."""
        loop = asyncio.get_running_loop()
        if self._case.reading is not Reading.ALWAYS:
            await asyncio.sleep(UNREAD_SECONDS)
        while not self._reset and (data := await loop.sock_recv(client, 65536)):
            self._said += data
            if is_stream(self._said) and self._case.ending in STAYING:
                self._drop(client)
        # A piece that waits for room has no reader any more.
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _drop(self, client: socket.socket) -> None:
        self._reset = True
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):  # the gateway may have ended it
            client.shutdown(socket.SHUT_RDWR)

"""Sockets of clients for which the kernel holds little: so that a gateway notices who doesn't read."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

BUFFER_BYTES: Final = 65536


async def reach(port: int, seconds: float) -> socket.socket:
    """Return a socket that is connected to a port of 127.0.0.1.

    Raises:
        OSError: it can't be reached, or not within so many seconds.
    """
    reached = socket.socket()
    try:
        reached.setblocking(False)
        reached.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(reached, ("127.0.0.1", port))
    except BaseException:
        reached.close()
        raise
    return reached

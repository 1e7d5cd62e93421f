"""All handshakes of a gateway: those that take too long, and those that begin on a connection that isn't new."""

from __future__ import annotations

import asyncio

from relay.gateway.context import Context
from relay.gateway.handshake import Handshake

EXPIRE_SECONDS = 0.25
"""How often deadlines are checked."""


def readmit(context: Context, transport: asyncio.Transport, head: bytes) -> None:
    """Begin anew with a connection whose last request, which aiohttp has read, wants an event stream.

    Args:
        context: what all connections share.
        transport: of the connection.
        head: of that request, with the empty line.
    """
    handshake = Handshake(context, context.sources.get(transport, ""))
    transport.set_protocol(handshake)
    handshake.connection_made(transport)
    handshake.admit_event_stream(head)
    if not transport.is_closing():
        transport.resume_reading()


async def expire_handshakes(context: Context) -> None:
    """End the handshakes and HTTP requests whose deadline has passed, again and again, until cancelled."""
    while True:
        await asyncio.sleep(EXPIRE_SECONDS)
        now = context.loop.time()
        for handshake, deadline in list(context.handshakes.items()):
            if deadline <= now:
                handshake.expire()
        context.deadlines.expire(context.http.connections, now)

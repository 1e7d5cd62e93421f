"""Which answers end their connection, and which keep it for the next request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from relay.web.keys import DEADLINES, DRAINING


@dataclass(slots=True)
class _Life:
    """What a request is to its connection. One object, because a request that gets another address is a copy."""

    number: int
    keep: bool = False


_LIFE = web.RequestKey("LIFE", _Life)


def keep(request: web.Request) -> None:
    """Keep the connection for another request after this one, if the client wants that."""
    request[_LIFE].keep = True


def first_request(request: web.Request) -> bool:
    """Tell whether a request is the first one of its connection."""
    return request[_LIFE].number <= 1


@web.middleware
async def restart_deadline(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the connection time for this request."""
    request[_LIFE] = _Life(request.app[DEADLINES].restart(request.protocol, asyncio.get_running_loop().time()))
    return await handler(request)


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """End the connection after the answer unless it is to be kept, and leave out which versions answer.

    aiohttp's own errors end it, too: what follows a malformed request can't be trusted.
    """
    response.headers["Server"] = "relay"
    life = request.get(_LIFE)
    if life is None or not life.keep or request.app[DRAINING]():
        response.force_close()
        response.headers["Connection"] = "close"  # aiohttp has made this header before it asks us

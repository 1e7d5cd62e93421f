"""Which answers end their connection, and which keep it for the next request."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler

from relay.web.app_keys import DRAINING
from relay.web.http_transport import HttpTransport


@dataclass(slots=True)
class _Life:
    """What a request is to its connection. One object, because a request that gets another address is a copy."""

    keep: bool = False


_LIFE = web.RequestKey("LIFE", _Life)


def keep(request: web.Request) -> None:
    """Keep the connection for another request after this one, if the client wants that."""
    request[_LIFE].keep = True


def leaving(request: web.Request) -> bool:
    """Tell whether the client has left, or has closed its side: then it may have left.

    One that only has nothing more to say gets its answer, but no wait: what can't be told apart is treated alike.
    """
    transport = request.transport
    return transport is None or (isinstance(transport, HttpTransport) and transport.half_closed)


@web.middleware
async def persistence_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a handler keep the connection."""
    request[_LIFE] = _Life()
    return await handler(request)


class ResponseWatcher(AbstractAccessLogger):
    """Tells a connection when an answer is written: aiohttp does so to its access log alone, for every answer."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Note the end of an answer; called by aiohttp behind its last byte."""
        transport = request.transport
        if isinstance(response, web.Response):
            # aiohttp keeps the last answer of a kept connection until its next request: a megabyte for each that polls.
            response.body = None
        if isinstance(transport, HttpTransport) and transport.owner is not None:
            transport.owner.response_written(bool(response.keep_alive))


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """End the connection after the answer unless it is to be kept, and leave out which versions answer.

    aiohttp's own errors end it, too: what follows a malformed request can't be trusted.
    """
    response.headers["Server"] = "relay"
    life = request.get(_LIFE)
    if life is None or not life.keep or request.app[DRAINING]():
        response.force_close()
        response.headers["Connection"] = "close"  # aiohttp has made this header before it asks us

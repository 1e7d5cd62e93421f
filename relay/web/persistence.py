"""Which responses close their connection, and which keep it open for the next request (RFC 9112, section 9.3)."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler

from relay.protocols.http_error import closing_connection
from relay.web.app_keys import DRAINING
from relay.web.http_transport import HttpTransport


@dataclass(slots=True)
class _Persistence:
    """Whether the connection of a request is kept.

    An object, because a request whose address is changed by a middleware is a copy: both share this.
    """

    keep: bool = False


_PERSISTENCE = web.RequestKey("PERSISTENCE", _Persistence)


def keep_connection(request: web.Request) -> None:
    """Keep the connection open after the response, if the client wants that. Without this call it is closed."""
    request[_PERSISTENCE].keep = True


def client_may_be_gone(request: web.Request) -> bool:
    """Return whether the client has closed the connection, or its side of it, or could do so unnoticed.

    A client that closed only its side gets its response, but should not have to wait for it: it looks the same as a
    client that has disconnected. So does one that has sent so much behind its request that it isn't read any more.
    """
    transport = request.transport
    if not isinstance(transport, HttpTransport) or transport.owner is None:
        return True
    return transport.half_closed or not transport.owner.reading


@web.middleware
async def persistence_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the handler call `keep_connection`."""
    request[_PERSISTENCE] = _Persistence()
    return await handler(request)


class ResponseWatcher(AbstractAccessLogger):
    """Tells a connection when a response is written. aiohttp tells that only its access log, for every response."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Note the end of a response; called by aiohttp after its last byte."""
        transport = request.transport
        if isinstance(response, web.Response):
            # aiohttp keeps the last response until the next request: up to a megabyte for each client that polls.
            response.body = None
        if isinstance(transport, HttpTransport) and transport.owner is not None:
            transport.owner.response_written(bool(response.keep_alive))


async def prepare_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Say in `Connection` that it closes unless the connection is kept, and hide the versions of libraries in `Server`.

    A signal handler of aiohttp. Its own error responses close the connection, too: what follows a malformed request
    can't be trusted.
    """
    response.headers["Server"] = "relay"
    persistence = request.get(_PERSISTENCE)
    if persistence is None or not persistence.keep or request.app[DRAINING]():
        response.force_close()
        # aiohttp has set this header before it calls us.
        response.headers["Connection"] = closing_connection(response.headers)

"""Requests for `/sse/CHANNEL` that come to aiohttp: the first of a connection are taken before they get here.

Browsers and proxies keep connections and send a request over any of them. So a connection that has published or
polled can become an event stream; it is given back to the handshake then, as if it were new.
"""

from __future__ import annotations

from aiohttp import web

from relay.protocols.sse import ROOT
from relay.web.cors import for_pages
from relay.web.keys import READMIT


def add_routes(app: web.Application) -> None:
    """Add what this module serves."""
    app.router.add_route("*", ROOT, for_pages("GET", _give_back))
    app.router.add_route("*", ROOT + "/{channel:.*}", for_pages("GET", _give_back))


async def _give_back(request: web.Request) -> web.Response:
    """Let the handshake answer, also to a target that has a form which it refuses."""
    protocol, transport = request.protocol, request.transport
    if transport is not None:
        head = [b"GET %b HTTP/%d.%d" % (request.raw_path.encode(), *request.version)]
        head += [name + b": " + value for name, value in request.raw_headers]
        # Without its transport, aiohttp takes its connection for lost and writes nothing more.
        protocol.transport = None
        protocol.connection_lost(None)
        request.app[READMIT](transport, b"\r\n".join(head) + b"\r\n\r\n")
    return web.Response()

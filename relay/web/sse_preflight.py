"""Requests to `/sse/CHANNEL` that do not open an event stream: CORS preflights, and requests that are refused.

An event stream does not reach aiohttp: `relay.gateway.handshake` turns its connection into the stream.
"""

from __future__ import annotations

from aiohttp import web

from relay.errors import Refused
from relay.protocols.sse import ROOT
from relay.web.cors import with_cors


def add_routes(app: web.Application) -> None:
    """Answer requests to `/sse/CHANNEL`."""
    app.router.add_route("*", ROOT, with_cors("GET", _refuse))
    app.router.add_route("*", ROOT + "/{channel:.*}", with_cors("GET", _refuse))


async def _refuse(request: web.Request) -> web.Response:
    """Refuse a path that is one of these only after decoding, such as `/%73se/a`: not every proxy decodes it."""
    raise Refused(404, f"nothing here; channels are at {ROOT}/CHANNEL")

"""Requests to paths of streams that open none: CORS preflights, and requests that are refused.

A stream does not reach aiohttp: `relay.gateway.handshake` turns its connection into the stream.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from relay.errors import Refused
from relay.protocols import STREAMS
from relay.protocols.sse import ROOT
from relay.web.cors import with_cors

STREAM: Final = "a stream for clients of the Centrifuge protocol, which say in their request who they are"


def add_routes(app: web.Application) -> None:
    """Answer requests to `/sse/CHANNEL`, and to the paths of streams of several channels."""
    refuse_channel = with_cors("GET", _refuse_channel, clients=True)
    app.router.add_route("*", ROOT, refuse_channel)
    app.router.add_route("*", ROOT + "/{channel:.*}", refuse_channel)
    for path, methods in STREAMS.items():
        app.router.add_route("*", path, with_cors(", ".join(methods), _refuse, STREAM, clients=True))


async def _refuse_channel(request: web.Request) -> web.Response:
    """Refuse a path that is one of these only after decoding, such as `/%73se/a`: not every proxy decodes it."""
    raise Refused(404, f"nothing here; channels are at {ROOT}/CHANNEL")


async def _refuse(request: web.Request) -> web.Response:
    """Do the same for a stream of several channels."""
    raise Refused(404, f"nothing here; streams are at {' and '.join(STREAMS)}")

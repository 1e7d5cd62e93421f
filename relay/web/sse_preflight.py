"""Requests for `/sse/CHANNEL` that are no event stream: preflights, and what is refused.

The streams themselves never come here: a connection that asks for one becomes one.
"""

from __future__ import annotations

from aiohttp import web

from relay.errors import Refused
from relay.protocols.sse import ROOT
from relay.web.cors import with_cors


def add_routes(app: web.Application) -> None:
    """Add what this module serves."""
    app.router.add_route("*", ROOT, with_cors("GET", _refuse))
    app.router.add_route("*", ROOT + "/{channel:.*}", with_cors("GET", _refuse))


async def _refuse(request: web.Request) -> web.Response:
    """Refuse a path that is one of these only when it is decoded, which proxies do not do, or not alike."""
    raise Refused(404, f"nothing here; channels are at {ROOT}/CHANNEL")

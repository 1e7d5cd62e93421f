"""Requests for `/sse/CHANNEL` that are no event streams: those are taken before they come here."""

from __future__ import annotations

from aiohttp import web

from relay.errors import Refused
from relay.protocols.sse import ROOT
from relay.web.cors import for_pages


def add_routes(app: web.Application) -> None:
    """Serve preflights, and refuse what is no plain GET."""
    app.router.add_route("*", ROOT, for_pages("GET", _refuse))
    app.router.add_route("*", ROOT + "/{channel:.*}", for_pages("GET", _refuse))


async def _refuse(_request: web.Request) -> web.Response:
    raise Refused(400, "the request target must be a path, and the first of its connection")

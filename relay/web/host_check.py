"""Requests to names that aren't the relay's, refused before any handler sees them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from relay.auth.host import check_host
from relay.errors import Refused
from relay.web.cors import error_response

PROBES: Final = ("/healthz", "/readyz")
"""Load balancers ask these by whatever name they have for a server; the answers are no secret."""


def host_middleware(allowed: Collection[str]) -> Middleware:
    """Return what refuses requests to other names.

    Args:
        allowed: see `relay.auth.host`.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in PROBES:
            try:
                check_host(request.headers.get("Host"), allowed)
            except Refused as refused:
                return error_response(refused)
        return await handler(request)

    return middleware

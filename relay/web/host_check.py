"""Refuses requests to host names that are not the relay's, before a handler sees them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from relay.auth.host import HostRefused, check_host
from relay.web.app_keys import COUNTERS, REFUSED_NAMES
from relay.web.cors import error_response

PROBES: Final = ("/healthz", "/readyz")
"""Paths that load balancers request with any `Host`; the responses are no secret."""


def host_middleware(allowed: Collection[str]) -> Middleware:
    """Return a middleware that refuses requests to other host names.

    Args:
        allowed: names of the relay; see `relay.auth.host`.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in PROBES:
            try:
                check_host(request.headers.get("Host"), allowed)
            except HostRefused as refused:
                request.app[REFUSED_NAMES].note(refused)
                request.app[COUNTERS].connections_refused[refused.cause] += 1
                return error_response(refused)
        return await handler(request)

    return middleware

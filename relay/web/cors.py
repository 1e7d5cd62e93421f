"""Endpoints that pages of other sites may use: the CORS protocol (Fetch standard, section 3.2)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from aiohttp import web

from relay.auth.origin import cors_headers
from relay.errors import Refused
from relay.web.app_keys import SETTINGS

PREFLIGHT_SECONDS = 3600
"""How long a browser may remember the answer to a preflight."""

Handler = Callable[[web.Request], Awaitable[web.Response]]


def with_cors(method: str, handler: Handler) -> Handler:
    """Return a handler for all methods of a path.

    Pages that may not use the relay get 403, preflights are answered, other methods get 405, and what the
    handler returns, or raises as `Refused`, can be read by the page that asked.

    Args:
        method: the one that the handler is for.
        handler: answers it.
    """

    async def answer(request: web.Request) -> web.Response:
        headers = request.headers
        cors: dict[str, str] = {}
        try:
            allowed = request.app[SETTINGS].allowed_origins
            if len(headers.getall("Origin", ())) > 1:
                raise Refused(400, "more than one Origin header")
            cors = cors_headers(headers.get("Origin"), headers.get("Host"), allowed)
            if request.method == "OPTIONS":
                response = _preflight(method, headers.get("Access-Control-Request-Headers"))
            elif request.method != method:
                raise Refused(405, f"only {method} is allowed here", {"Allow": f"{method}, OPTIONS"})
            else:
                response = await handler(request)
        except Refused as refused:
            response = error_response(refused)
        response.headers.update(cors)
        return response

    return answer


def error_response(refused: Refused) -> web.Response:
    """Return the answer to a request that is refused."""
    headers = dict(refused.headers)
    if refused.status == 503:
        # Spread, so that those who were refused together don't come back together.
        headers["Retry-After"] = str(random.randint(1, 5))
    return web.Response(status=refused.status, text=f"{refused.reason}\n", headers=headers)


def _preflight(method: str, wanted: str | None) -> web.Response:
    headers = {
        "Allow": f"{method}, OPTIONS",
        "Access-Control-Allow-Methods": method,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    if wanted is not None:
        # Whatever it is: no header of a request gives a page rights that its origin hasn't.
        headers["Access-Control-Allow-Headers"] = wanted
    return web.Response(status=204, headers=headers)

"""The CORS protocol, by which browsers let pages of other sites use an endpoint (Fetch standard, section 3.2)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from aiohttp import web

from relay.auth.origin import check_fetch_site, cors_headers
from relay.errors import Refused
from relay.web.app_keys import COUNTERS, REFUSED_NAMES, SETTINGS

PREFLIGHT_SECONDS = 3600
"""How long a browser may cache the response to a preflight."""

Handler = Callable[[web.Request], Awaitable[web.Response]]


def with_cors(methods: str, handler: Handler, what: str = "", *, clients: bool = False) -> Handler:
    """Return a handler for all methods of a path, with CORS.

    It answers preflights itself, pages whose origin is not allowed get 403, and other methods 405. The page that
    sent the request can read the response, also when `handler` raises `Refused`.

    Args:
        methods: those that `handler` answers, with a comma and a space between them.
        handler: may raise `Refused`.
        what: is there, for those who come with another method; empty: nothing is said of it.
        clients: whether those who ask want to be clients, and count where they are refused.
    """

    async def respond(request: web.Request) -> web.Response:
        headers = request.headers
        cors: dict[str, str] = {}
        try:
            allowed = request.app[SETTINGS].allowed_origins
            if len(headers.getall("Origin", ())) > 1:
                raise Refused(400, "more than one Origin header")
            if "Origin" not in headers:
                check_fetch_site(headers.get("Sec-Fetch-Site"), headers.get("Sec-Fetch-Dest"))
            cors = cors_headers(headers.get("Origin"), headers.get("Host"), allowed)
            if request.method == "OPTIONS":
                response = _preflight(methods, headers.get("Access-Control-Request-Headers"))
            elif request.method not in methods.split(", "):
                raise Refused(
                    405, f"only {methods} is allowed here{what and ': '}{what}", {"Allow": f"{methods}, OPTIONS"}
                )
            else:
                response = await handler(request)
        except Refused as refused:
            request.app[REFUSED_NAMES].note(refused)
            if clients:
                request.app[COUNTERS].connections_refused[refused.cause] += 1
            response = error_response(refused)
        response.headers.update(cors)
        return response

    return respond


def error_response(refused: Refused) -> web.Response:
    """Return the response to a request that is refused."""
    headers = dict(refused.headers)
    if refused.status == 503:
        # Random, so that clients that were refused together do not come back together.
        headers.setdefault("Retry-After", str(random.randint(1, 5)))  # noqa: S311  # spreads load, guards nothing
    return web.Response(status=refused.status, text=f"{refused.reason}\n", headers=headers)


def _preflight(methods: str, wanted: str | None) -> web.Response:
    headers = {
        "Allow": f"{methods}, OPTIONS",
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    if wanted is not None:
        # All that were asked for: no request header gives a page a right that its origin has not.
        headers["Access-Control-Allow-Headers"] = wanted
    return web.Response(status=204, headers=headers)

"""Sets `request.remote` to the address of the client, also when a request came through proxies."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from relay.errors import Refused
from relay.proxies.forwarded import TrustedProxies
from relay.web.cors import error_response


def client_address_middleware(proxies: TrustedProxies) -> Middleware:
    """Return a middleware that sets `request.remote` to the client's address, and refuses requests without a clear one.

    Args:
        proxies: whose headers are believed.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = request.remote or ""  # the address in the PROXY header, if there was one
        x_forwarded_for = request.headers.getall(hdrs.X_FORWARDED_FOR, [])
        try:
            remote = proxies.client_address(peer, x_forwarded_for, request.headers.getall(hdrs.FORWARDED, []))
        except Refused as refused:
            return error_response(refused)
        return await handler(request if remote == request.remote else request.clone(remote=remote))

    return middleware

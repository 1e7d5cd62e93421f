"""The HTTP around the API: `POST /api/METHOD`."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from relay.auth.api_keys import given_key, opens
from relay.brokers.shares import Share
from relay.errors import Refused
from relay.web.api.commands import decode, run, run_batch
from relay.web.api.error import ApiError, Code
from relay.web.api.methods import METHODS, NOT_AVAILABLE, Call
from relay.web.api.openapi import document
from relay.web.api.parameters import BatchParameters
from relay.web.api.results import ErrorBody, ErrorReply
from relay.web.app_keys import CONTROL, COUNTERS, NODE, SETTINGS
from relay.web.body import read_body
from relay.web.content_type import UTF_8, read_content_type
from relay.web.persistence import keep
from relay.web.publish_window import PublishWindow

MIN_BODY_BYTES = 1024 * 1024
"""What a body may have at least; twice the largest message, where that is more, so that base64 has room."""

_CODES = {408: Code.BAD_REQUEST, 413: Code.LIMIT_EXCEEDED}
"""Codes of bodies that can't be read, by HTTP status; `BAD_REQUEST` for the others."""


def add_routes(app: web.Application) -> None:
    """Serve `/api/METHOD` and the document that describes it."""
    app.router.add_get("/api/openapi.json", _openapi)
    app.router.add_route("*", "/api/{method}", _serve)


async def _openapi(request: web.Request) -> web.Response:
    """Describe the API; that needs no key."""
    if request.app[SETTINGS].api_keys is None:
        return _refusal(_off())
    return web.Response(body=document(), content_type="application/json")


async def _serve(request: web.Request) -> web.Response:
    method = request.match_info["method"]
    known = method in METHODS or method in NOT_AVAILABLE or method == "batch"
    counted = request.app[COUNTERS].api_requests
    name = method if known else "unknown"
    try:
        _admit(request)
        if not known:
            raise ApiError(Code.METHOD_NOT_FOUND, "method not found", 404)
        if request.method != "POST":
            raise ApiError(Code.METHOD_NOT_FOUND, "the API is called with POST", 405)
        body = await _read(request)
        keep(request)
        reply = await _reply(request, method, body)
    except ApiError as error:
        counted[f"{name} {error.code}"] += 1
        return _refusal(error)
    counted[f"{name} {Code.OK}"] += 1
    return web.Response(body=reply, content_type="application/json")


async def _reply(request: web.Request, method: str, body: bytes) -> bytes:
    """Carry out what a body asks for."""
    settings, counted = request.app[SETTINGS], request.app[COUNTERS].api_requests
    call = Call(request.app[CONTROL], PublishWindow(request.app[NODE], Share.BACK_ENDS), settings.max_message_bytes)
    if method != "batch":
        return b'{"result":%b}' % await run(call, method, body)

    def count(command: str, code: Code) -> None:
        counted[f"{command} {code}"] += 1

    return await run_batch(call, decode(body, BatchParameters), count)


def _admit(request: web.Request) -> None:
    """Refuse who has no key, before anything of the body is read."""
    keys = request.app[SETTINGS].api_keys
    if keys is None:
        raise _off()
    if not opens(given_key(request.headers), [key.get_secret_value() for key in keys]):
        raise ApiError(Code.UNAUTHORIZED, "unauthorized: send one of RELAY_API_KEYS as X-API-Key", 401)


async def _read(request: web.Request) -> bytes:
    """Return the body, which is JSON in UTF-8 whatever its Content-Type says: curl calls all that it sends a form."""
    try:
        if read_content_type(request.headers.get(hdrs.CONTENT_TYPE)).charset not in UTF_8:
            raise Refused(415, "bad request: the body must be JSON in UTF-8")
        body = await read_body(request, max(MIN_BODY_BYTES, 2 * request.app[SETTINGS].max_message_bytes))
        body.decode()  # msgspec doesn't look into what it passes on
    except Refused as refused:
        code = _CODES.get(refused.status, Code.BAD_REQUEST)
        raise ApiError(code, refused.reason, refused.status) from None
    except UnicodeDecodeError as error:
        raise ApiError(Code.BAD_REQUEST, f"bad request: the body is not valid UTF-8: {error.reason}", 400) from None
    return body or b"{}"


def _off() -> ApiError:
    return ApiError(Code.NOT_AVAILABLE, "the server API is off: set RELAY_API_KEYS to turn it on", 404)


def _refusal(error: ApiError) -> web.Response:
    body = msgspec.json.encode(ErrorReply(ErrorBody(error.code, error.message)))
    headers = {401: {"WWW-Authenticate": "apikey"}, 405: {"Allow": "POST"}}.get(error.status, {})
    return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)

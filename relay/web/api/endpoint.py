"""The HTTP side of the server API: `POST /api/METHOD`."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from relay.auth.api_keys import find_key
from relay.auth.authenticator import Identity
from relay.brokers.shares import Share
from relay.errors import Refused
from relay.web.api.call import AnswerRoom, Call
from relay.web.api.commands import decode, run, run_batch
from relay.web.api.error import ApiError, Code
from relay.web.api.methods import METHODS
from relay.web.api.not_available import NOT_AVAILABLE
from relay.web.api.openapi import document
from relay.web.api.parameters import BatchParameters
from relay.web.api.results import ErrorBody, ErrorReply
from relay.web.app_keys import API_KEYS, CONTROL, COUNTERS, LIMITS, NAMESPACES, NODE, SETTINGS
from relay.web.body import read_body
from relay.web.content_type import UTF_8, read_content_type
from relay.web.persistence import keep_connection
from relay.web.publish_window import PublishWindow

MIN_BODY_BYTES = 1024 * 1024
"""The limit of a body, or twice the largest message where that is more, so that base64 has room."""

_CODES = {408: Code.BAD_REQUEST, 413: Code.LIMIT_EXCEEDED}
"""HTTP status → error code of a body that cannot be read; `BAD_REQUEST` for all others."""


def add_routes(app: web.Application) -> None:
    """Serve `/api/METHOD` and the document that describes it."""
    app.router.add_get("/api/openapi.json", _openapi)
    app.router.add_route("*", "/api/{method}", _serve)


async def _openapi(request: web.Request) -> web.Response:
    """Answer with the OpenAPI document, which needs no key."""
    if request.app[API_KEYS] is None:
        return _error_response(_switched_off())
    return web.Response(body=document(), content_type="application/json")


async def _serve(request: web.Request) -> web.Response:
    method = request.match_info["method"]
    known = method in METHODS or method in NOT_AVAILABLE or method == "batch"
    counted = request.app[COUNTERS].api_requests
    name = method if known else "unknown"
    try:
        identity = _identify(request)
        if not known:
            raise ApiError(Code.METHOD_NOT_FOUND, "method not found", 404)
        if request.method != "POST":
            raise ApiError(Code.METHOD_NOT_FOUND, "the API is called with POST", 405)
        body = await _read(request)
        keep_connection(request)
        reply = await _run(request, identity, method, body)
    except ApiError as error:
        counted[f"{name} {error.code}"] += 1
        return _error_response(error)
    counted[f"{name} {Code.OK}"] += 1
    return web.Response(body=reply, content_type="application/json")


async def _run(request: web.Request, identity: Identity, method: str, body: bytes) -> bytes:
    """Run the command, or the batch, of a request; return the body of the response."""
    settings, counted = request.app[SETTINGS], request.app[COUNTERS].api_requests
    node = request.app[NODE]
    window = PublishWindow(node, Share.BACK_ENDS)
    call = Call(
        identity=identity,
        control=request.app[CONTROL],
        window=window,
        max_message_bytes=settings.max_message_bytes,
        limits=node.channel_limits,
        namespaces=request.app[NAMESPACES],
        history=node.history,
        presence=node.present,
        room=AnswerRoom(),
    )
    if method != "batch":
        return b'{"result":%b}' % await run(call, method, body)

    def count(command: str, code: Code) -> None:
        counted[f"{command} {code}"] += 1

    return await run_batch(call, decode(body, BatchParameters), count)


def _identify(request: web.Request) -> Identity:
    """Return which back end sends a request, before anything of the body is read.

    Raises:
        ApiError: the API is off (404), the request has no valid key (401), or too many others of its address had none
            (429).
    """
    keys, failures, remote = request.app[API_KEYS], request.app[LIMITS].failures, request.remote or ""
    if keys is None:
        raise _switched_off()
    try:
        failures.check(remote)
    except Refused as refused:
        raise ApiError(Code.TOO_MANY_REQUESTS, refused.reason, refused.status, refused.headers) from None
    identity = keys.identify(request.headers)
    if identity is None:
        if find_key(request.headers):
            failures.add(remote)
        raise ApiError(Code.UNAUTHORIZED, "unauthorized: send one of RELAY_API_KEYS as X-API-Key", 401)
    return identity


async def _read(request: web.Request) -> bytes:
    """Return the body. It is read as JSON in UTF-8, whatever media type it has: curl always says that it is a form."""
    try:
        if read_content_type(request.headers.get(hdrs.CONTENT_TYPE)).charset not in UTF_8:
            raise Refused(415, "bad request: the body must be JSON in UTF-8")
        body = await read_body(request, max(MIN_BODY_BYTES, 2 * request.app[SETTINGS].max_message_bytes))
        body.decode()  # msgspec does not check the UTF-8 of `Raw` fields
    except Refused as refused:
        code = _CODES.get(refused.status, Code.BAD_REQUEST)
        raise ApiError(code, refused.reason, refused.status) from None
    except UnicodeDecodeError as error:
        raise ApiError(Code.BAD_REQUEST, f"bad request: the body is not valid UTF-8: {error.reason}", 400) from None
    return body or b"{}"


def _switched_off() -> ApiError:
    return ApiError(Code.NOT_AVAILABLE, "the server API is off: set RELAY_API_KEYS to turn it on", 404)


def _error_response(error: ApiError) -> web.Response:
    body = msgspec.json.encode(ErrorReply(ErrorBody(error.code, error.message)))
    headers = {401: {"WWW-Authenticate": "apikey"}, 405: {"Allow": "POST"}}.get(error.status, error.headers)
    return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)

"""Everything that is plain HTTP on the gateway's port."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST

from relay.snapshot import Snapshot
from relay.web.metrics import render_metrics

_HOW_TO_CONNECT = """\
This is a relay: connect with a WebSocket client.

    ws://{host}/ws/CHANNEL

For example:  python -m websockets ws://{host}/ws/lobby
Health:       GET /healthz (alive), GET /readyz (ready for clients)
"""


http_logger = logging.getLogger("relay.http")


class _StrangersErrors(logging.Filter):
    """Leaves out malformed requests: aiohttp logs a traceback for each, and strangers can send as many as they like."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is about a fault of ours."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | ConnectionError)


http_logger.addFilter(_StrangersErrors())


Take = Callable[[], Awaitable[Snapshot]]
"""Takes a snapshot of the gateway: of all its processes, when it has several."""

Problems = Callable[[], Awaitable[list[str]]]
"""Says, in words, what keeps the gateway from serving clients now; empty when it is ready.

Of several processes one asks the others. `TimeoutError`, from here and from `Take`: nobody can tell.
"""

NOBODY_CAN_TELL = "the supervisor of the workers does not answer"


def build_app(problems: Problems, take: Take | None, build: Mapping[str, str]) -> web.Application:
    """Return the HTTP application of the port that clients use.

    Args:
        problems: see `Problems`.
        take: see `Take`; None when metrics have a port of their own.
        build: labels of `relay_build_info`.
    """
    app = build_operators_app(problems, take, build)
    app.router.add_route("*", "/", _upgrade_required)
    app.router.add_route("*", "/ws", _upgrade_required)
    app.router.add_route("*", "/ws/{channel:.*}", _upgrade_required)
    app.router.add_route("*", "/{path:.*}", _not_found)
    return app


def build_operators_app(problems: Problems, take: Take | None, build: Mapping[str, str]) -> web.Application:
    """Return the HTTP application of a port that only operators use; arguments as for `build_app`."""

    async def healthz(_request: web.Request) -> web.Response:
        """Tell that the process is alive: a restart would help nobody, whatever the bus does."""
        try:
            await problems()
        except TimeoutError:
            return web.json_response({"status": NOBODY_CAN_TELL}, status=503)
        return web.json_response({"status": "alive"})

    async def readyz(_request: web.Request) -> web.Response:
        """Tell whether clients should be sent here."""
        try:
            reasons = await problems()
        except TimeoutError:
            reasons = [NOBODY_CAN_TELL]
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    app = web.Application(client_max_size=64 * 1024)
    app.on_response_prepare.append(_finish)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    if take is not None:

        async def metrics(_request: web.Request) -> web.Response:
            """Tell what the gateway has counted, and what is so now."""
            try:
                body = render_metrics(await take(), build)
            except TimeoutError:
                return web.Response(status=503, text=f"{NOBODY_CAN_TELL}\n")
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

        app.router.add_get("/metrics", metrics)
    return app


async def run_app(app: web.Application) -> web.AppRunner:
    """Return a runner that is set up; its `server` takes connections from a listener of ours."""
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=1.0, keepalive_timeout=0, logger=http_logger
    )
    await runner.setup()
    return runner


def _how_to_connect(request: web.Request) -> str:
    host = request.host
    return _HOW_TO_CONNECT.format(host=host if host.isascii() and host.isprintable() else "HOST")


async def _upgrade_required(request: web.Request) -> web.Response:
    text = _how_to_connect(request)
    return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})


async def _not_found(request: web.Request) -> web.Response:
    return web.Response(status=404, text="Nothing here.\n\n" + _how_to_connect(request))


async def _finish(_request: web.Request, response: web.StreamResponse) -> None:
    """End the connection after every answer, aiohttp's own errors too, and leave out which versions answer.

    A kept connection would wait for its next request without a deadline.
    """
    response.headers["Server"] = "relay"
    response.force_close()

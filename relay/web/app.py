"""Everything that is plain HTTP on the gateway's port."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from relay.clients.cursors import Cursors
from relay.control import Control
from relay.metrics.counters import Counters
from relay.node import Node
from relay.settings import Settings
from relay.web import api, demo, health, metrics, poll, publish, sse_preflight
from relay.web.app_keys import (
    ADMISSION,
    BUILD,
    BUS,
    CONTROL,
    COUNTERS,
    CURSORS,
    DRAINING,
    NODE,
    PROBLEMS,
    SETTINGS,
    SNAPSHOT,
    Admission,
    Problems,
    TakeSnapshot,
)
from relay.web.host_check import host_middleware
from relay.web.persistence import ResponseWatcher, finish, persistence_middleware

_HOW_TO_CONNECT = """\
This is a relay: connect with a WebSocket client.

    ws://{host}/ws/CHANNEL

For example:  python -m websockets ws://{host}/ws/lobby
Publish:      curl -d hello http://{host}/publish/lobby
Listen:       curl -N http://{host}/sse/lobby (server-sent events), GET /poll/lobby (long polling)
Health:       GET /healthz (alive), GET /readyz (ready for clients)
"""

LINGER_SECONDS = 2.0
"""How long the rest of a body is read that nobody wants; aiohttp does that even when the client has gone."""

http_logger = logging.getLogger("relay.http")


class _MalformedRequests(logging.Filter):
    """Leaves out malformed requests: aiohttp logs a traceback for each, and clients can send any number."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is about a fault of ours."""
        error = record.exc_info[1] if record.exc_info else None
        # The last one: an answer of aiohttp's own that repeats a header whose bytes are no text.
        return not isinstance(error, HttpProcessingError | ConnectionError | UnicodeEncodeError)


http_logger.addFilter(_MalformedRequests())


def build_app(
    *,
    settings: Settings,
    node: Node,
    control: Control,
    counters: Counters,
    draining: Callable[[], bool],
    cursors: Cursors,
    admission: Admission,
    problems: Problems,
    take: TakeSnapshot | None,
    build: Mapping[str, str],
    bus: str,
) -> web.Application:
    """Return the HTTP application of the port that clients use. Each module beside this one adds its own routes.

    Args:
        settings: of the gateway.
        node: hub and broker.
        control: reaches all gateways.
        counters: what the gateway has counted.
        draining: tells whether the gateway says goodbye.
        cursors: the polling clients.
        admission: lets clients in.
        problems: what keeps the gateway from serving clients now; see `PROBLEMS`.
        take: see `SNAPSHOT`; None when metrics have a port of their own.
        build: labels of `relay_build_info`.
        bus: see `BUS`.
    """
    app = build_operators_app(problems, take, build, bus)
    app.middlewares.append(persistence_middleware)
    if settings.allowed_hosts is not None:
        app.middlewares.append(host_middleware(settings.allowed_hosts))
    app[SETTINGS], app[NODE], app[CONTROL], app[COUNTERS] = settings, node, control, counters
    app[CURSORS], app[ADMISSION], app[DRAINING] = cursors, admission, draining
    for module in (demo, api, publish, sse_preflight, poll):
        module.add_routes(app)
    _add_fallbacks(app)
    return app


def build_operators_app(
    problems: Problems, take: TakeSnapshot | None, build: Mapping[str, str], bus: str
) -> web.Application:
    """Return the HTTP application of a port that only operators use; arguments as for `build_app`."""
    app = web.Application(client_max_size=64 * 1024)
    app[PROBLEMS], app[BUILD], app[BUS] = problems, build, bus
    app.on_response_prepare.append(finish)
    health.add_routes(app)
    if take is not None:
        app[SNAPSHOT] = take
        metrics.add_routes(app)
    return app


async def make_runner(app: web.Application, max_header_bytes: int) -> web.AppRunner:
    """Return a runner that is set up; its `server` answers the requests of `HttpConnection`s.

    Args:
        app: the application.
        max_header_bytes: of the head of a request; larger ones don't come to it.
    """
    runner = web.AppRunner(
        app,
        access_log=http_logger,  # nothing is written to it
        access_log_class=ResponseWatcher,
        handle_signals=False,
        shutdown_timeout=1.0,
        # Its limits are beyond ours: what it would refuse, in words of its own, doesn't come to it.
        max_line_size=max_header_bytes,
        max_field_size=max_header_bytes,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # a few bytes of a request must not become many
        logger=http_logger,
    )
    await runner.setup()
    return runner


def _add_fallbacks(app: web.Application) -> None:
    """Explain everything that no module serves; last, because the first route that fits wins."""
    app.router.add_route("*", "/", _upgrade_required)
    app.router.add_route("*", "/ws", _upgrade_required)
    app.router.add_route("*", "/ws/{channel:.*}", _upgrade_required)
    app.router.add_route("*", "/{path:.*}", _not_found)


def _how_to_connect(request: web.Request) -> str:
    host = request.host
    return _HOW_TO_CONNECT.format(host=host if host.isascii() and host.isprintable() else "HOST")


async def _upgrade_required(request: web.Request) -> web.Response:
    text = _how_to_connect(request)
    return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})


async def _not_found(request: web.Request) -> web.Response:
    return web.Response(status=404, text="Nothing here.\n\n" + _how_to_connect(request))

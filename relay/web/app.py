"""Everything that is plain HTTP on the gateway's port."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from relay.counters import Counters
from relay.node import Node
from relay.settings import Settings
from relay.web import demo, health, metrics
from relay.web.keys import COUNTERS, NODE, PROBLEMS, SETTINGS

_HOW_TO_CONNECT = """\
This is a relay: connect with a WebSocket client.

    ws://{host}/ws/CHANNEL

For example:  python -m websockets ws://{host}/ws/lobby
Health:       GET /healthz (alive), GET /readyz (ready for clients), GET /metrics (Prometheus)
"""


http_logger = logging.getLogger("relay.http")


class _StrangersErrors(logging.Filter):
    """Leaves out malformed requests: aiohttp logs a traceback for each, and strangers can send as many as they like."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is about a fault of ours."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | ConnectionError)


http_logger.addFilter(_StrangersErrors())


def build_app(settings: Settings, node: Node, counters: Counters, problems: Callable[[], list[str]]) -> web.Application:
    """Return the HTTP application. Each module beside this one adds its own routes.

    Args:
        settings: of the gateway.
        node: hub and broker.
        counters: what the gateway has counted.
        problems: says, in words, what keeps the gateway from serving clients now; empty when it is ready.
    """
    app = web.Application(client_max_size=64 * 1024)
    app[SETTINGS], app[NODE], app[COUNTERS], app[PROBLEMS] = settings, node, counters, problems
    app.on_response_prepare.append(_finish)
    for module in (demo, health, metrics):
        module.add_routes(app)
    _add_fallbacks(app)
    return app


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


async def _finish(_request: web.Request, response: web.StreamResponse) -> None:
    """End the connection after every answer, aiohttp's own errors too, and leave out which versions answer.

    A kept connection would wait for its next request without a deadline.
    """
    response.headers["Server"] = "relay"
    response.force_close()

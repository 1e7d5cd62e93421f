"""Everything that is plain HTTP on the gateway's port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from relay.control import Control
from relay.counters import Counters
from relay.node import Node
from relay.settings import Settings
from relay.web import api, event_streams, health, metrics, poll, publish
from relay.web.deadlines import Deadlines
from relay.web.keys import CONTROL, COUNTERS, DEADLINES, DRAINING, NODE, POLLS, PROBLEMS, READMIT, SETTINGS
from relay.web.lifetime import finish, first_request, restart_deadline
from relay.web.polls import Polls

_HOW_TO_CONNECT = """\
This is a relay: connect with a WebSocket client.

    ws://{host}/ws/CHANNEL

For example:  python -m websockets ws://{host}/ws/lobby
Publish:      curl -d hello http://{host}/publish/lobby
Listen:       curl -N http://{host}/sse/lobby (server-sent events), GET /poll/lobby (long polling)
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


def build_app(
    settings: Settings,
    node: Node,
    control: Control,
    counters: Counters,
    deadlines: Deadlines,
    problems: Callable[[], list[str]],
    draining: Callable[[], bool],
    polls: Polls,
    readmit: Callable[[asyncio.Transport, bytes], None],
) -> web.Application:
    """Return the HTTP application. Each module beside this one adds its own routes.

    Args:
        settings: of the gateway.
        node: hub and broker.
        control: reaches all gateways.
        counters: what the gateway has counted.
        deadlines: of the connections.
        problems: says, in words, what keeps the gateway from serving clients now; empty when it is ready.
        draining: tells whether the gateway says goodbye.
        polls: the polling clients.
        readmit: begins anew with a connection and the head of a request that came over it.
    """
    app = web.Application(middlewares=[restart_deadline], client_max_size=64 * 1024)
    app[SETTINGS], app[NODE], app[CONTROL], app[COUNTERS] = settings, node, control, counters
    app[DEADLINES], app[PROBLEMS], app[DRAINING] = deadlines, problems, draining
    app[POLLS], app[READMIT] = polls, readmit
    app.on_response_prepare.append(finish)
    for module in (health, metrics, api, publish, event_streams, poll):
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
    text = _HOW_TO_CONNECT.format(host=host if host.isascii() and host.isprintable() else "HOST")
    if not first_request(request):
        text += "\nOnly the first request of a connection can become a WebSocket: open a new connection.\n"
    return text


async def _upgrade_required(request: web.Request) -> web.Response:
    text = _how_to_connect(request)
    return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})


async def _not_found(request: web.Request) -> web.Response:
    return web.Response(status=404, text="Nothing here.\n\n" + _how_to_connect(request))

"""Answers on all paths that nothing else serves: they explain how to connect."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from relay.protocols import ENDPOINTS, STREAMS

_HOW_TO_CONNECT: Final = """\
This is a relay: connect with a WebSocket client.

    ws://{host}/ws/CHANNEL

For example:  python -m websockets ws://{host}/ws/lobby
Publish:      curl -d hello http://{host}/publish/lobby
Listen:       curl -N http://{host}/sse/lobby (server-sent events), GET /poll/lobby (long polling)
Centrifuge:   new Centrifuge("ws://{host}/connection/websocket")
Health:       GET /healthz (alive), GET /readyz (ready for clients)
"""

CONNECTION: Final = "/connection"
"""Below it are the endpoints of the Centrifuge protocol."""

_ENDPOINTS: Final = ", ".join(path for path in (*ENDPOINTS, *STREAMS) if path.startswith(CONNECTION + "/"))

WEBSOCKETS: Final = {
    "/connection/websocket": """\
{path} takes WebSockets of the clients of Centrifuge, such as centrifuge-js and centrifuge-python.

    new Centrifuge("ws://{host}{path}")
""",
    "/connection/uni_websocket": """\
{path} takes WebSockets that only listen: connect, and send a request of the Centrifuge protocol.

    new WebSocket("ws://{host}{path}").onopen = (event) => event.target.send('{{"token": "..."}}')
""",
}
"""Path → what its clients are, for a request that wants no WebSocket."""

_NO_ENDPOINT: Final = f"""\
Nothing here. Clients of the Centrifuge protocol connect to one of {_ENDPOINTS}.
"""


def add_routes(app: web.Application) -> None:
    """Explain on all other paths how to connect; added last, because the first route that matches is taken."""
    for path in WEBSOCKETS:
        app.router.add_route("*", path, _upgrade_required)
    app.router.add_route("*", CONNECTION, _no_endpoint)
    app.router.add_route("*", CONNECTION + "/{path:.*}", _no_endpoint)
    app.router.add_route("*", "/", _upgrade_required)
    app.router.add_route("*", "/ws", _upgrade_required)
    app.router.add_route("*", "/ws/{channel:.*}", _upgrade_required)
    app.router.add_route("*", "/{path:.*}", _not_found)


def _explain(text: str, request: web.Request) -> str:
    host = request.host
    return text.format(host=host if host.isascii() and host.isprintable() else "HOST", path=request.path)


async def _upgrade_required(request: web.Request) -> web.Response:
    text = _explain(WEBSOCKETS.get(request.path, _HOW_TO_CONNECT), request)
    return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})


async def _no_endpoint(request: web.Request) -> web.Response:
    return web.Response(status=404, text=_NO_ENDPOINT)


async def _not_found(request: web.Request) -> web.Response:
    return web.Response(status=404, text="Nothing here.\n\n" + _explain(_HOW_TO_CONNECT, request))

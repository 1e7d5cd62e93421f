"""Everything that is plain HTTP on the gateway's port."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

_HOW_TO_CONNECT = """\
This is a relay: connect with a WebSocket client.

    ws://{host}/ws/CHANNEL

For example:  python -m websockets ws://{host}/ws/lobby
Health:       GET /healthz (alive), GET /readyz (ready for clients)
"""


def build_app(problems: Callable[[], list[str]]) -> web.Application:
    """Return the HTTP application.

    Args:
        problems: says, in words, what keeps the gateway from serving clients now; empty when it is ready.
    """

    async def healthz(_request: web.Request) -> web.Response:
        """Tell that the process is alive: a restart would help nobody, whatever the bus does."""
        return _closing(web.json_response({"status": "alive"}))

    async def readyz(_request: web.Request) -> web.Response:
        """Tell whether clients should be sent here."""
        reasons = problems()
        return _closing(web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200))

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_route("*", "/", _upgrade_required)
    app.router.add_route("*", "/ws", _upgrade_required)
    app.router.add_route("*", "/ws/{channel:.*}", _upgrade_required)
    app.router.add_route("*", "/{path:.*}", _not_found)
    return app


async def _upgrade_required(request: web.Request) -> web.Response:
    text = _HOW_TO_CONNECT.format(host=request.host)
    return _closing(web.Response(status=426, text=text, headers={"Upgrade": "websocket"}))


async def _not_found(request: web.Request) -> web.Response:
    return _closing(web.Response(status=404, text="Nothing here.\n\n" + _HOW_TO_CONNECT.format(host=request.host)))


def _closing(response: web.Response) -> web.Response:
    """End the connection after the answer: a kept one would wait for its next request without a deadline."""
    response.force_close()
    return response

"""Whether the process lives, and whether clients should be sent to it."""

from __future__ import annotations

from aiohttp import web

from relay.web.keys import PROBLEMS


def add_routes(app: web.Application) -> None:
    """Serve `/healthz` and `/readyz`."""
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)


async def _healthz(_request: web.Request) -> web.Response:
    """Tell that the process is alive: a restart would help nobody, whatever the bus does."""
    return web.json_response({"status": "alive"})


async def _readyz(request: web.Request) -> web.Response:
    """Tell whether clients should be sent here."""
    reasons = request.app[PROBLEMS]()
    return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

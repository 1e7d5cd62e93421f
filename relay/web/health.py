"""Liveness and readiness, for supervisors and load balancers."""

from __future__ import annotations

from aiohttp import web

from relay.web.app_keys import BUS, PROBLEMS

SUPERVISOR_SILENT = "the supervisor of the workers does not answer"


def add_routes(app: web.Application) -> None:
    """Serve `/healthz` and `/readyz`."""
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)


async def _healthz(request: web.Request) -> web.Response:
    """Answer that the process is alive, whatever the bus does: a restart would not help."""
    try:
        await request.app[PROBLEMS]()
    except TimeoutError:
        return web.json_response({"status": SUPERVISOR_SILENT}, status=503)
    return web.json_response({"status": "alive"})


async def _readyz(request: web.Request) -> web.Response:
    """Answer whether clients should be sent here, and why not."""
    try:
        reasons = await request.app[PROBLEMS]()
    except TimeoutError:
        reasons = [SUPERVISOR_SILENT]
    state = {"ready": not reasons, "reasons": reasons, "bus": request.app[BUS]}
    return web.json_response(state, status=503 if reasons else 200)

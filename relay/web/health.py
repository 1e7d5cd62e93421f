"""Liveness and readiness, for supervisors and load balancers."""

from __future__ import annotations

from aiohttp import web

from relay.web.app_keys import BUS, READINESS, Readiness

SUPERVISOR_SILENT = "the supervisor of the workers does not answer"


def add_routes(app: web.Application) -> None:
    """Serve `/healthz` and `/readyz`."""
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)


async def _healthz(request: web.Request) -> web.Response:
    """Answer that the process is alive, whatever the bus does: a restart would not help."""
    try:
        await request.app[READINESS]()
    except TimeoutError:
        return web.json_response({"status": SUPERVISOR_SILENT}, status=503)
    return web.json_response({"status": "alive"})


async def _readyz(request: web.Request) -> web.Response:
    """Answer whether clients should be sent here, why not, and what else an operator should know."""
    try:
        readiness = await request.app[READINESS]()
    except TimeoutError:
        readiness = Readiness([SUPERVISOR_SILENT], [])
    reasons = readiness.problems
    state = {"ready": not reasons, "reasons": reasons, "notes": readiness.notes, "bus": request.app[BUS]}
    return web.json_response(state, status=503 if reasons else 200)

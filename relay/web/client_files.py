"""The JavaScript client below `/client/`, for pages of any site."""

from __future__ import annotations

from functools import cache

from aiohttp import web

from relay.web.asset import Asset, assets_of

PREFIX = "/client/"

_HEADERS = {
    # The files are public, and the same for all clients. What a page may do with them RELAY_ALLOWED_ORIGINS says.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def add_routes(app: web.Application) -> None:
    """Serve the modules of the client and its types."""

    async def file(request: web.Request) -> web.Response:
        """Answer with a file of the client."""
        return _files()[request.path.removeprefix(PREFIX)].answer(request, _HEADERS)

    for name in _files():
        app.router.add_get(PREFIX + name, file)


@cache
def _files() -> dict[str, Asset]:
    """Return the files of the client, by name."""
    # The others are for npm, which doesn't install from here.
    return {name: asset for name, asset in assets_of("client").items() if name.endswith((".js", ".ts"))}

"""The demo and playground page at `/`, and its files below `/demo/`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache

import msgspec
from aiohttp import web
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from relay.auth.origin import canonical, is_allowed
from relay.brokers import schemes
from relay.protocols import ENDPOINTS
from relay.protocols.plain import FIRST_OFFERED
from relay.settings import Settings
from relay.web.app_keys import AUTH, SETTINGS
from relay.web.asset import HEADERS, Asset, assets_of
from relay.web.documents import titles

PAGE = "index.html"

SUBPROTOCOL = "relay"
"""That the page would like to offer."""

_HEADERS = {
    **HEADERS,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# Only the page's own files, no inline script or style, and no text that is parsed as HTML.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src {connect}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)

# A host that a policy can name, without characters that would end the directive.
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?")

_HTML_TYPES = ("text/html", "application/xhtml+xml")


_NOT_LISTED = """\
The playground can't connect: RELAY_ALLOWED_ORIGINS doesn't list the site that you see it on.

Add the site as it stands in the address, without a path, or turn the playground off with RELAY_DEMO=off.
"""


class _BrowserResource(web.PlainResource):
    """A route that matches only requests of browsers; other requests go on to the next route."""

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        if not accepts_html(request.headers.get("Accept", "")):
            return None, set()
        return await super().resolve(request)


def add_routes(app: web.Application) -> None:
    """Serve the page and its files, unless the settings switch it off."""
    settings = app[SETTINGS]
    if settings.demo == "off":
        return
    assets = {**_files(), "server.json": Asset("server.json", _about(settings, app[AUTH]))}

    async def page(request: web.Request) -> web.Response:
        """Answer with the page."""
        if not _may_be_used(request.host, settings.allowed_origins):
            return web.Response(status=403, text=_NOT_LISTED, headers=_HEADERS | {"Vary": "Accept"})
        policy = _POLICY.format(connect=_may_connect_to(request.host))
        return assets[PAGE].answer(request, _HEADERS | {"Content-Security-Policy": policy, "Vary": "Accept"})

    async def file(request: web.Request) -> web.Response:
        """Answer with a file of the page."""
        return assets[request.path.removeprefix("/demo/")].answer(request, _HEADERS)

    front = _BrowserResource("/")
    front.add_route("GET", page)
    front.add_route("HEAD", page)
    app.router.register_resource(front)
    for name in assets:
        if name != PAGE:
            app.router.add_get(f"/demo/{name}", file)


def accepts_html(accept: str) -> bool:
    """Return whether an Accept header names HTML; `*/*`, as curl sends it, does not."""
    for part in accept.lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        refused = any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
        if media_type in _HTML_TYPES and not refused:
            return True
    return False


@cache
def _files() -> dict[str, Asset]:
    """Return the files of the page, by name."""
    return assets_of("page")


def _about(settings: Settings, auth: str) -> bytes:
    """Return what the page has to know about this server; it is public."""
    about = {
        "auth": auth,
        "everything": auth == "none" and settings.default_rights is None,
        "subprotocol": _subprotocol(settings.subprotocols),
        "default_channel": settings.default_channel,
        "max_message_bytes": settings.max_message_bytes,
        "documents": titles(),
        "redis_prefix": settings.broker_prefix if schemes.find(settings.broker_url).redis else None,
    }
    return msgspec.json.encode(about)


def _subprotocol(accepted: Sequence[str]) -> str:
    """Return the subprotocol that the page offers beside a token: one of those that are accepted."""
    if FIRST_OFFERED in accepted or SUBPROTOCOL in accepted:
        return SUBPROTOCOL
    # One that names another protocol than the plain one would be spoken, too.
    return next((name for name in accepted if name not in ENDPOINTS), accepted[0])


def _may_be_used(host: str, allowed: Collection[str] | None) -> bool:
    """Return whether the page could connect, by http or https: a proxy that ends TLS hides which of them it is."""
    sites = (canonical(f"{scheme}://{host}") for scheme in ("http", "https"))
    return allowed is None or any(is_allowed(site, allowed) for site in sites)


def _may_connect_to(host: str) -> str:
    """Return where the page may connect to: its own server. Not every browser counts WebSockets as 'self'."""
    return f"'self' ws://{host} wss://{host}" if _HOST.fullmatch(host) else "'self'"

"""Which web pages may use the relay: the `Origin` that a browser sends (RFC 6454), held against the settings.

A browser sends it, and a script in a page can't change it, so it tells which page asks, and nothing about who the
client is: a program that is no browser sends what it likes, or nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from relay.errors import Refused
from relay.redaction import escape_controls

ANY = "*"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def check_origin(origin: str | None, host: str | None, allowed: Collection[str]) -> None:
    """Refuse the page of another site, unless the settings allow it.

    Args:
        origin: what the request says in `Origin`; None when it says nothing, as programs and some requests to
            the page's own site do.
        host: what the request says in `Host`.
        allowed: origins in the form in which browsers send them, or `ANY`.

    Raises:
        Refused: with 403; the origin is neither allowed nor that of the relay itself.
    """
    if origin is None or origin in allowed or ANY in allowed or is_own(origin, host):
        return
    shown = escape_controls(origin[:200])  # bytes that are no text among them
    raise Refused(403, f"pages of {shown} may not use this relay; RELAY_ALLOWED_ORIGINS names those that may")


def is_own(origin: str, host: str | None) -> bool:
    """Return whether a page was loaded from the host that it asks now.

    The scheme isn't compared: behind a proxy that ends TLS, nobody here knows it.
    """
    scheme, separator, _ = origin.partition("://")
    return bool(separator) and host is not None and origin == canonical(f"{scheme}://{host}")


def canonical(origin: str) -> str:
    """Return an origin in the form in which browsers send it: in lower case, without its scheme's usual port."""
    origin = origin.lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], ""))


def cors_headers(origin: str | None, host: str | None, allowed: Collection[str]) -> dict[str, str]:
    """Return the headers of an answer with which a browser lets the page read it; see `check_origin`."""
    check_origin(origin, host, allowed)
    if origin is None or (origin not in allowed and ANY not in allowed):
        return {}
    if origin not in allowed:
        return {"Access-Control-Allow-Origin": ANY}
    # Credentials are for load balancers, which keep a client on one gateway by a cookie.
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }

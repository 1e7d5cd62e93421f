"""Which web pages may use the relay: the `Origin` that a browser sends (RFC 6454), held against the settings.

A browser sends it, and a script in a page can't change it, so it tells which page asks, and nothing about who the
client is: a program that is no browser sends what it likes, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from relay.errors import Refused
from relay.redaction import escape_controls

ANY: Final = "*"

OPAQUE: Final = "null"
"""Origin of pages that have none: of files, of sandboxed frames, and of some redirects. Any site can make one."""

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# A scheme of its own is what apps in a web view have, and extensions.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?\Z")

# The parent of a wildcard has two names at least: no site owns `*.com`. Its last one is no number: addresses have no
# subdomains. `localhost` is this machine, whatever stands before it.
_SUBDOMAINS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)\*(?P<parent>(?:\.[a-z0-9_-]+)+\.[a-z][a-z0-9-]*|\.localhost)(?P<port>:[0-9]{1,5})?\Z"
)
_LABELS = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\Z")


def read_allowed(text: str) -> str:
    """Return one origin of the settings in the form in which it is compared.

    Args:
        text: an origin, `https://*.example.com` for all subdomains of a host, `null`, or `*`.

    Raises:
        ValueError: it is none of these.
    """
    origin = canonical(text)
    if origin in (ANY, OPAQUE) or _ORIGIN.match(origin) or _SUBDOMAINS.match(origin):
        return origin
    if "*" in origin:
        raise ValueError(f"not {text!r}: * alone, or as the first name of a host, as in https://*.example.com")
    raise ValueError(f"not {text!r}: scheme, host and perhaps a port, nothing after them")


def check_origin(origin: str | None, host: str | None, allowed: Collection[str] | None) -> None:
    """Refuse the page of another site, unless the settings allow it.

    Args:
        origin: what the request says in `Origin`; None when it says nothing, as programs and some requests to
            the page's own site do.
        host: what the request says in `Host`. It counts only where nothing is set: a page whose name was pointed
            here (DNS rebinding) has that name in both headers.
        allowed: origins as `read_allowed` returns them; None: pages of the relay's own site, whatever it is called.

    Raises:
        Refused: with 403; the origin is not allowed.
    """
    if origin is None or (is_own(origin, host) if allowed is None else is_allowed(origin, allowed)):
        return
    shown = escape_controls(origin[:200])  # bytes that are no text among them
    reason = f"pages of {shown} may not use this relay; RELAY_ALLOWED_ORIGINS names those that may"
    if allowed is not None and is_own(origin, host):
        reason += ", and its own are none of them unless they are listed, too"
    raise Refused(403, reason)


def is_allowed(origin: str, allowed: Collection[str]) -> bool:
    """Return whether the settings let pages of an origin in.

    Args:
        origin: as browsers send it.
        allowed: origins as `read_allowed` returns them.
    """
    return ANY in allowed or _is_listed(origin, allowed)


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


def cors_headers(origin: str | None, host: str | None, allowed: Collection[str] | None) -> dict[str, str]:
    """Return the headers of an answer with which a browser lets the page read it; see `check_origin`."""
    check_origin(origin, host, allowed)
    if allowed is None:
        return {}
    # Caches keep one answer for each origin, refusals included, unless all are the same.
    headers = {} if set(allowed) == {ANY} else {"Vary": "Origin"}
    if origin is None or not _is_listed(origin, allowed):
        return headers | ({"Access-Control-Allow-Origin": ANY} if ANY in allowed else {})
    headers["Access-Control-Allow-Origin"] = origin
    if origin != OPAQUE:
        # Credentials are for load balancers, which keep a client on one gateway by a cookie.
        headers["Access-Control-Allow-Credentials"] = "true"
    return headers


def _is_listed(origin: str, allowed: Collection[str]) -> bool:
    """Return whether an origin is named in the settings, or is that of a subdomain of one."""
    return origin in allowed or any(_is_subdomain(origin, pattern) for pattern in allowed if "://*." in pattern)


def _is_subdomain(origin: str, pattern: str) -> bool:
    """Return whether one or more names stand where the pattern has its `*`; the rest is the same to the letter."""
    before, _, after = pattern.partition("*")
    if not (origin.startswith(before) and origin.endswith(after)) or len(origin) <= len(before) + len(after):
        return False
    return _LABELS.match(origin[len(before) : len(origin) - len(after)]) is not None

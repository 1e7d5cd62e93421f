"""Checks the `Origin` of a request (RFC 6454) against the web pages that the settings allow.

A browser sends `Origin`, and a script in a page can't change it: it tells which page sends the request. It does not
authenticate the client: other programs send any `Origin`, or none.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from relay.errors import Refused
from relay.redaction import escape_controls

ANY: Final = "*"

OPAQUE: Final = "null"
"""Origin of files, of sandboxed frames, and after some redirects. A page of any site can get it."""

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# Apps in a web view and browser extensions have schemes of their own.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?\Z")

# The domain below which a wildcard matches has at least two labels: no site owns `*.com`. Its last label is not a
# number: addresses have no subdomains. All names below `localhost` are this machine.
_SUBDOMAINS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)\*(?P<parent>(?:\.[a-z0-9_-]+)+\.[a-z][a-z0-9-]*|\.localhost)(?P<port>:[0-9]{1,5})?\Z"
)

_ORIGIN_FIELD: Final = re.compile(rb"\r\norigin:([^\r]*)", re.IGNORECASE)
_HOST_FIELD: Final = re.compile(rb"\r\nhost:([^\r]*)", re.IGNORECASE)

_EXPOSED: Final = {"Access-Control-Expose-Headers": "Retry-After"}
"""What pages may read besides the headers that browsers always show (Fetch standard, section 3.2.3)."""

_LABELS = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\Z")


class OriginRefused(Refused):
    """A page of another site asks for something, and the settings don't allow its origin.

    Args:
        origin: as the request has it: it may hold anything.
        reason: a sentence for the client.
    """

    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(403, reason)
        self.origin = origin


def read_allowed(text: str) -> str:
    """Return an origin from the settings in the form in which origins are compared.

    Args:
        text: an origin, `https://*.example.com` for all subdomains of a host, `null`, or `*`.

    Raises:
        ValueError: it is something else.
    """
    origin = canonical(text)
    if origin in (ANY, OPAQUE) or _ORIGIN.match(origin) or _SUBDOMAINS.match(origin):
        return origin
    if "*" in origin:
        raise ValueError(f"not {text!r}: * alone, or as the first name of a host, as in https://*.example.com")
    raise ValueError(f"not {text!r}: scheme, host and perhaps a port, nothing after them")


def check_origin(origin: str | None, host: str | None, allowed: Collection[str] | None) -> None:
    """Refuse a request of a page of another site, unless the settings allow it.

    Args:
        origin: the `Origin` of the request; None: it has none, as with programs and some requests of pages of the
            relay's own site.
        host: the `Host` of the request. It counts only where `allowed` is None: a page whose name resolves to this
            address (DNS rebinding) has that name in both headers.
        allowed: origins as `read_allowed` returns them; None: pages of the relay's own site, whatever its name is.

    Raises:
        OriginRefused: the origin is not allowed.
    """
    if origin is None or (is_own(origin, host) if allowed is None else is_allowed(origin, allowed)):
        return
    shown = escape_controls(origin[:200])  # it may hold any bytes
    reason = f"pages of {shown} may not use this relay; RELAY_ALLOWED_ORIGINS lists the sites that may"
    if allowed is not None and is_own(origin, host):
        reason += ", and its own are none of them unless they are listed, too"
    raise OriginRefused(origin, reason)


def check_fetch_site(site: str | None, destination: str | None) -> None:
    """Refuse a request that a page of another site makes a browser send without `Origin`, as by an image.

    Such a page can't read the response. But in its visitor's name, and from the visitor's address, it could take
    places, and send wrong credentials until that address is refused.

    Args:
        site: the `Sec-Fetch-Site` of the request (W3C, Fetch Metadata); None: it has none, as with programs.
        destination: its `Sec-Fetch-Dest`. A link that a person follows is no attack.

    Raises:
        Refused: with 403.
    """
    if site == "cross-site" and destination != "document":
        raise Refused(403, "pages of other sites may not use this relay without an Origin header")


def is_allowed(origin: str, allowed: Collection[str]) -> bool:
    """Return whether the settings allow pages of an origin.

    Args:
        origin: as browsers send it.
        allowed: origins as `read_allowed` returns them.
    """
    return ANY in allowed or _is_listed(origin, allowed)


def is_own(origin: str, host: str | None) -> bool:
    """Return whether a page was loaded from the host to which it sends a request.

    The scheme isn't compared: behind a proxy that ends TLS, the gateway doesn't know it.
    """
    scheme, separator, _ = origin.partition("://")
    return bool(separator) and host is not None and origin == canonical(f"{scheme}://{host}")


def canonical(origin: str) -> str:
    """Return an origin in the form in which browsers send it: in lower case, without its scheme's default port."""
    origin = origin.lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], ""))


def cors_headers(origin: str | None, host: str | None, allowed: Collection[str] | None) -> dict[str, str]:
    """Return the response headers with which a browser lets a page read the response; see `check_origin`."""
    check_origin(origin, host, allowed)
    if allowed is None:
        return {}
    # Caches must keep one response per origin, refusals included, unless the responses are the same for all origins.
    headers = {} if set(allowed) == {ANY} else {"Vary": "Origin"}
    if origin is None or not _is_listed(origin, allowed):
        return headers | ({"Access-Control-Allow-Origin": ANY, **_EXPOSED} if ANY in allowed else {})
    headers |= {"Access-Control-Allow-Origin": origin, **_EXPOSED}
    if origin != OPAQUE:
        # For the cookies of load balancers, which keep a client on one gateway.
        headers["Access-Control-Allow-Credentials"] = "true"
    return headers


def refusal_headers(head: bytes, allowed: Collection[str] | None) -> dict[str, str]:
    """Return the same for a request that is refused before it was read; empty where its page may not read why.

    Args:
        head: of the request; see `relay.protocols.http_request.RequestHead`.
        allowed: see `check_origin`.
    """
    origins, hosts = (
        [value.decode("latin-1").strip(" \t") for value in pattern.findall(head)]
        for pattern in (_ORIGIN_FIELD, _HOST_FIELD)
    )
    if len(origins) > 1:
        return {}
    try:
        return cors_headers(origins[0] if origins else None, hosts[0] if hosts else None, allowed)
    except Refused:
        return {}


def _is_listed(origin: str, allowed: Collection[str]) -> bool:
    """Return whether the settings name an origin, or a wildcard that it matches."""
    return origin in allowed or any(_is_subdomain(origin, pattern) for pattern in allowed if "://*." in pattern)


def _is_subdomain(origin: str, pattern: str) -> bool:
    """Return whether an origin has one or more labels where the pattern has its `*`, and is otherwise the same."""
    before, _, after = pattern.partition("*")
    if not (origin.startswith(before) and origin.endswith(after)) or len(origin) <= len(before) + len(after):
        return False
    return _LABELS.match(origin[len(before) : len(origin) - len(after)]) is not None

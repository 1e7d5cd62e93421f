"""Checks the `Host` of a request against the names that the settings allow.

The owner of any site can let the site's name resolve to the relay's address (DNS rebinding). A browser then takes the
relay for that site: it sends no `Origin` with a GET of the site's pages, and lets them read the response. Only `Host`
still tells the difference.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address

from relay.errors import Refused
from relay.redaction import escape_controls

_NAME = re.compile(r"(?=.{1,253}\Z)(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]{1,254})(?::[0-9]{1,5})?\Z")

LOCAL = "localhost"

ANY = "*"


class HostRefused(Refused):
    """A request names a host that is not the relay's.

    Args:
        host: as the request has it: it may hold anything.
    """

    def __init__(self, host: str) -> None:
        shown = escape_controls(host[:200])
        super().__init__(421, f"this relay is not called {shown}; RELAY_ALLOWED_HOSTS lists its names")
        self.host = host


def read_allowed_host(text: str) -> str:
    """Return a name from the settings in the form in which names are compared.

    Args:
        text: a host name, `*.example.com` for all names below a host name, or `*` for all.

    Raises:
        ValueError: it is neither.
    """
    name = text.lower().removesuffix(".")
    if name != ANY and not _NAME.match(name):
        raise ValueError(f"not {text!r}: a name such as relay.example.com or *.example.com, without scheme and port")
    return name


def check_host(host: str | None, allowed: Collection[str] | None) -> None:
    """Refuse a request whose `Host` is not a name of the relay.

    Addresses and `localhost` are always accepted: no site can have such a name, and health checks need no other.

    Args:
        host: the `Host` of the request; None: it has none, which a browser never does.
        allowed: names as `read_allowed_host` returns them; None: all names.

    Raises:
        HostRefused: with 421 (RFC 9110, section 15.5.20).
    """
    if host is None or allowed is None:
        return
    found = _HOST.match(host.lower())
    name = "" if found is None else found["name"].removesuffix(".")
    if name in allowed or name == LOCAL or name.endswith("." + LOCAL) or _is_address(name):
        return
    if any(allow.startswith("*.") and name.endswith(allow[1:]) and len(name) >= len(allow) for allow in allowed):
        return
    raise HostRefused(host)


@lru_cache(64)
def _is_address(name: str) -> bool:
    """Return whether a name is an address: most requests have the same, and to read one takes 5 µs."""
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True

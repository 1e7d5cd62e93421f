"""The URL schemes of buses: the one place that knows them, for settings, commands, pages and gateways.

A new bus is a module with `broker_class`, `check_url` and `describe` (see `Scheme`), and one line in `SCHEMES`. This
module imports none of the others: reading settings loads no broker, and no broker's library.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple


class Scheme(NamedTuple):
    """What can be said about the URLs of one scheme without loading their broker.

    Args:
        module: has `broker_class`, a `relay.brokers.Broker`.
        urls: module that reads these URLs. `check_url(url)` raises `ValueError` with a reason that never repeats a
            part of the URL that may be secret; `describe(url)` returns the kind of bus and where it is, without user,
            password and options.
        form: how a URL is written, for people.
        connects_processes: whether several processes hear each other over such a bus.
        tls: whether it may come with a file of authorities.
        redis: whether messages may come from any Redis client, such as `relay.Publisher` and `redis-cli`.
    """

    module: str
    urls: str
    form: str
    connects_processes: bool = True
    tls: bool = False
    redis: bool = False


_REDIS, _REDIS_URLS = "relay.brokers.redis.broker", "relay.brokers.redis.address"

SCHEMES = {
    "memory": Scheme("relay.brokers.memory", "relay.brokers.memory", "memory://", connects_processes=False),
    "redis": Scheme(_REDIS, _REDIS_URLS, "redis://[user:password@]host[:port][/db]", redis=True),
    "rediss": Scheme(_REDIS, _REDIS_URLS, "rediss://...", redis=True, tls=True),
    "unix": Scheme(_REDIS, _REDIS_URLS, "unix:///path[?db=0]", redis=True),
}


def name_of(url: str) -> str:
    """Return the scheme of a URL, which may be unknown, in small letters."""
    return url.partition(":")[0].lower()


def find(url: str) -> Scheme:
    """Return the scheme of a URL.

    Raises:
        ValueError: it is none of a bus.
    """
    scheme = SCHEMES.get(name_of(url))
    if scheme is None:
        raise ValueError(f"the scheme must be one of {in_words(SCHEMES)}")
    return scheme


def in_words(names: Iterable[str]) -> str:
    """Return schemes as they stand in URLs, for messages."""
    return ", ".join(f"{name}://" for name in names)


def rule() -> str:
    """Return how URLs are written, for people."""
    *forms, last = (scheme.form for scheme in SCHEMES.values())
    return f"{', '.join(forms)}, or {last}"


def check_url(url: str) -> str:
    """Return a URL that its bus can use.

    Raises:
        ValueError: why it can't be used; never a part of the URL that may be secret.
    """
    import_module(find(url).urls).check_url(url)
    return url


def describe(url: str) -> str:
    """Return the kind of bus that a URL names, and where it is, without user, password and options.

    Raises:
        ValueError: see `check_url`.
    """
    return str(import_module(find(url).urls).describe(url))


def broker_class(url: str) -> Any:
    """Import and return the `relay.brokers.Broker` of a URL.

    Raises:
        ValueError: no bus has this scheme; settings refuse it before.
    """
    return import_module(find(url).module).broker_class

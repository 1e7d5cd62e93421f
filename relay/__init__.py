"""A WebSocket publish/subscribe relay: any client, any number of gateways, Redis as the bus.

Public names are imported when they are first used: a back end that only publishes loads no server, and `relay --help`
loads neither server nor publisher.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from relay.version import __version__

if TYPE_CHECKING:
    from relay.brokers.redis.async_publisher import AsyncPublisher
    from relay.brokers.redis.publisher import Publisher
    from relay.gateway import Gateway
    from relay.settings import Settings

__all__ = ["AsyncPublisher", "Gateway", "Publisher", "Settings", "__version__"]

_MODULES = {
    "AsyncPublisher": "relay.brokers.redis.async_publisher",
    "Gateway": "relay.gateway",
    "Publisher": "relay.brokers.redis.publisher",
    "Settings": "relay.settings",
}


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)

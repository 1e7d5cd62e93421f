"""The bus over Redis pub/sub.

The broker is imported when it is first asked for: settings and publishers need the package's reader of URLs only.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """Import `broker_class` (PEP 562)."""
    if name != "broker_class":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from relay.brokers.redis.broker import RedisBroker

    return RedisBroker

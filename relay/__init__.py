"""A WebSocket publish/subscribe relay: any client, any number of gateways, Redis as the bus.

Public names are imported when they are first used: a back end that only publishes loads no server, and `relay --help`
loads neither server nor publisher.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from relay.version import __version__

if TYPE_CHECKING:
    from relay.auth.authenticator import Identity
    from relay.auth.grant import Grant
    from relay.auth.server_side import ServerSide
    from relay.brokers.redis.async_publisher import AsyncPublisher
    from relay.brokers.redis.publisher import Publisher
    from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishError, PublishRefused, Refused
    from relay.gateway import Gateway
    from relay.protocols.multiplexed import ServerSubscription
    from relay.protocols.request import ConnectRequest
    from relay.sdk.client import Client
    from relay.sdk.errors import ClientRefused, MessagesMissed, MessageTooBig
    from relay.sdk.received_message import ReceivedMessage
    from relay.settings import Settings

__all__ = [
    "AsyncPublisher",
    "BusUnavailable",
    "Client",
    "ClientRefused",
    "ConnectRequest",
    "DeliveryUnknown",
    "Gateway",
    "Grant",
    "Identity",
    "MessageTooBig",
    "MessagesMissed",
    "PublishBufferFull",
    "PublishError",
    "PublishRefused",
    "Publisher",
    "ReceivedMessage",
    "Refused",
    "ServerSide",
    "ServerSubscription",
    "Settings",
    "__version__",
]

_MODULES = {
    "AsyncPublisher": "relay.brokers.redis.async_publisher",
    "BusUnavailable": "relay.errors",
    "Client": "relay.sdk.client",
    "ClientRefused": "relay.sdk.errors",
    "ConnectRequest": "relay.protocols.request",
    "DeliveryUnknown": "relay.errors",
    "Gateway": "relay.gateway",
    "Grant": "relay.auth.grant",
    "Identity": "relay.auth.authenticator",
    "MessageTooBig": "relay.sdk.errors",
    "MessagesMissed": "relay.sdk.errors",
    "PublishBufferFull": "relay.errors",
    "PublishError": "relay.errors",
    "PublishRefused": "relay.errors",
    "Publisher": "relay.brokers.redis.publisher",
    "ReceivedMessage": "relay.sdk.received_message",
    "Refused": "relay.errors",
    "ServerSide": "relay.auth.server_side",
    "ServerSubscription": "relay.protocols.multiplexed",
    "Settings": "relay.settings",
}


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)

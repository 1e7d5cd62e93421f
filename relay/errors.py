"""The exceptions of the relay, and the reasons for which it closes clients.

RelayError
├── ChannelError           a channel name breaks the rules
├── Refused                a request is answered with an HTTP error
├── NotAllowed             a client has no right to do what it asks for
├── SubscriptionError      a client can't be subscribed to a channel, or unsubscribed, in its present state
├── ProtocolError          a client broke its protocol
└── BrokerError            the bus failed
    ├── SubscribeError     the bus refused a subscription
    └── PublishError       a message was not, or perhaps not, published
        ├── BusUnavailable     never sent: the bus was away for longer than the publish timeout
        ├── DeliveryUnknown    sent, but the link broke before the bus answered
        ├── PublishBufferFull  never sent: too much was waiting for the bus already
        └── PublishRefused     the bus answered with an error

An exception that only one package raises is defined in that package, such as `relay.settings.problem.SettingsError`; it
is below `RelayError`, too. Exceptions hold data; their text is made in `__str__`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Final


class Disconnect(enum.Enum):
    """Why the relay closes a client: WebSocket close code (RFC 6455, section 7.4) and reason.

    The library `websockets` has two more: 1002 for a breach of the protocol, which is counted as PROTOCOL_ERROR, and
    1009 for a message that is too big for any channel, which is counted as MESSAGE_TOO_BIG.
    """

    GOING_AWAY = (1001, "going away")
    INVALID_TEXT = (1007, "text is not valid UTF-8")
    FRAME_RATE = (1008, "too many control frames or small fragments")
    MESSAGE_RATE = (1008, "too many messages a second, for too long")
    BYTE_RATE = (1008, "too many bytes a second, for too long")
    MESSAGE_TIMEOUT = (1008, "message not finished in time")
    NOT_ALLOWED = (1008, "not allowed")
    NOT_AVAILABLE = (1008, "not available")
    INVALID_TOKEN = (1008, "invalid token")
    CONNECT_TIMEOUT = (1008, "the client did not say in time who it is")
    SUBSCRIPTION_EXPIRED = (1008, "subscription expired")
    TOO_MANY_CONNECTIONS = (1008, "too many connections")
    TOO_MANY_CHANNELS = (1008, "too many channels")
    TOO_MANY_REQUESTS = (1008, "too many requests")
    TOKEN_EXPIRED = (1008, "token expired")
    USER_BLOCKED = (1008, "user blocked")
    UNEXPECTED_DATA = (1008, "unexpected data")
    TOO_MANY_FRAGMENTS = (1009, "too many fragments")
    MESSAGE_TOO_BIG = (1009, "message too big for its channel")
    KEEPALIVE_TIMEOUT = (1011, "keepalive timeout")
    MISSED = (1012, "messages missed")
    SLOW_CONSUMER = (1013, "slow consumer")
    BUS_UNAVAILABLE = (1013, "bus unavailable")
    DELIVERY_UNKNOWN = (1013, "delivery unknown")
    PUBLISH_BUFFER_FULL = (1013, "publish buffer full")
    PUBLISH_REFUSED = (1013, "refused by the bus")
    UNAVAILABLE = (1013, "the client can't be let in now")
    # Commands of back ends; for the codes see `comes_back`.
    FORCE_DISCONNECT = (3503, "force disconnect")
    UNSUBSCRIBED = (4500, "unsubscribed")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


RIGHT_ENDED: Final = frozenset({Disconnect.TOKEN_EXPIRED, Disconnect.USER_BLOCKED})
"""Reasons after which nothing is published any more, not even what a client had sent before it could know."""

ALL_PUBLISHED: Final = frozenset({Disconnect.GOING_AWAY, Disconnect.MISSED})
"""Reasons that tell a client, too, that all it had sent was published; where it wasn't, it gets another one."""

OWN_FAULTS: Final = frozenset({1002, 1003, 1007, 1008, 1009})
"""Close codes for what the client itself did wrong: it would do the same again."""


def comes_back(code: int) -> bool:
    """Return whether a client should connect again, after a pause, when it was closed with a code.

    A back end that closes clients chooses: after 3500 to 3999 and 4500 to 4999 they should not, as in Centrifugo.
    """
    return code not in OWN_FAULTS and not 3500 <= code < 4000 and not 4500 <= code < 5000


@dataclass(frozen=True, slots=True)
class CustomDisconnect:
    """A close whose code and reason a back end has chosen; counted as `FORCE_DISCONNECT`.

    Args:
        code: WebSocket close code, 3000 to 4999.
        reason: at most 123 bytes of UTF-8.
    """

    code: int
    reason: str

    @property
    def name(self) -> str:
        """The name by which it is counted."""
        return Disconnect.FORCE_DISCONNECT.name


class RelayError(Exception):
    """Base of all exceptions of this package."""


class ChannelError(RelayError):
    """A channel name breaks a rule of `relay.channel`."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(name, rule)
        self.name = name
        self.rule = rule

    def __str__(self) -> str:
        return f"channel {self.name[:80]!r}: {self.rule}"


class Unavailable(enum.Enum):
    """Why new clients are refused for now: the name in the counters, and the sentence that the client gets."""

    FULL = ("full", "this gateway is full")
    DRAINING = ("draining", "this gateway is shutting down")
    BUS_TIMEOUT = ("bus_timeout", "the bus did not acknowledge the subscription in time")
    BUS_REFUSED = ("bus_refused", "the bus refused the subscription")
    HISTORY_TIMEOUT = ("history_timeout", "the history of the channel could not be read in time")
    AUTHENTICATION_TIMEOUT = ("authentication_timeout", "the client could not be identified in time")
    BLOCKS_UNREAD = ("blocks_unread", "the gateway does not know yet which users are blocked")
    ISSUER_UNAVAILABLE = ("issuer_unavailable", "the keys of the token's issuer can't be fetched now")
    BACK_END_UNAVAILABLE = ("back_end_unavailable", "the back end that decides about clients gives no answer now")

    def __init__(self, cause: str, sentence: str) -> None:
        self.cause = cause
        self.sentence = sentence


class Refused(RelayError):
    """A request is answered with an HTTP error.

    Args:
        status: HTTP status: 4xx, 5xx, or a redirect.
        reason: a sentence for the client, or why new clients are refused for now.
        headers: further headers of the response.

    Attributes:
        cause: the name in the counters, such as `full` or `bad_request`.
    """

    def __init__(self, status: int, reason: str | Unavailable, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason)
        self.status = status
        if isinstance(reason, Unavailable):
            self.reason, self.cause = reason.sentence, reason.cause
        else:
            self.reason, self.cause = reason, HTTPStatus(status).phrase.lower().replace(" ", "_")
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return self.reason


class NotAllowed(RelayError):
    """A client has no right to do what it asks for.

    Args:
        action: `subscribe to`, `publish to`, `read the history of` or `see who is on`.
        channel: name of the channel.
    """

    def __init__(self, action: str, channel: str) -> None:
        super().__init__(action, channel)
        self.action = action
        self.channel = channel

    def __str__(self) -> str:
        return f"you may not {self.action} this channel"


class SubscriptionError(RelayError):
    """A client can't be subscribed to a channel, or unsubscribed from it, in its present state.

    Args:
        channel: name of the channel.
        rule: why not.
    """

    def __init__(self, channel: str, rule: str) -> None:
        super().__init__(channel, rule)
        self.channel = channel
        self.rule = rule

    def __str__(self) -> str:
        return f"channel {self.channel!r}: {self.rule}"


class ProtocolError(RelayError):
    """A client broke its protocol, and must be closed.

    Args:
        disconnect: the reason that the client gets.
        detail: what the client did, for logs.
    """

    def __init__(self, disconnect: Disconnect, detail: str) -> None:
        super().__init__(disconnect, detail)
        self.disconnect = disconnect
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.disconnect.reason}: {self.detail}"


class BrokerError(RelayError):
    """The bus failed."""


class SubscribeError(BrokerError):
    """The bus refused a subscription.

    Args:
        channel: name of the channel.
        reply: the error of the bus.
    """

    def __init__(self, channel: str, reply: str) -> None:
        super().__init__(channel, reply)
        self.channel = channel
        self.reply = reply

    def __str__(self) -> str:
        return f"subscribing to {self.channel!r} was refused: {self.reply}"


class PublishError(BrokerError):
    """A message was not, or perhaps not, published.

    Args:
        detail: what happened, for logs and for back ends; never shown to WebSocket clients.
    """

    disconnect: ClassVar[Disconnect]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.disconnect.reason}: {self.detail}"


class BusUnavailable(PublishError):
    """The message was not sent: the bus was away for longer than the publish timeout."""

    disconnect = Disconnect.BUS_UNAVAILABLE


class DeliveryUnknown(PublishError):
    """The message was sent, and the link broke before the bus answered; it is not sent again."""

    disconnect = Disconnect.DELIVERY_UNKNOWN


class PublishBufferFull(PublishError):
    """The message was not sent: too many bytes were waiting for the bus already."""

    disconnect = Disconnect.PUBLISH_BUFFER_FULL


class PublishRefused(PublishError):
    """The message was not published: the bus answered with an error."""

    disconnect = Disconnect.PUBLISH_REFUSED

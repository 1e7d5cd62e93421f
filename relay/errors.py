"""Every exception that the relay raises, and every reason for which it closes a client.

RelayError
├── SettingsError          settings that are refused at start
├── ChannelError           a channel name that is refused
├── Refused                a request that is answered with an HTTP error
├── NotAllowed             a client has no right to do what it asks for
├── SubscriptionError      a client can't be subscribed to a channel, or unsubscribed, as things are with it
├── ProtocolError          a client broke its protocol
├── ControlMessageError    a message of another gateway that is refused
├── SurveyError            not all gateways answered a survey in time
└── BrokerError            the bus can't do what was asked
    ├── SubscribeError     the bus refused a subscription
    └── PublishError       a message was not, or perhaps not, delivered to the bus
        ├── BusUnavailable     never sent: the bus was away for longer than the publish timeout
        ├── DeliveryUnknown    sent, but the link broke before the bus answered
        ├── PublishBufferFull  never sent: too much was waiting for the bus already
        └── PublishRefused     the bus answered with an error

Exceptions hold data; their text is made in `__str__`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Final


class Disconnect(enum.Enum):
    """Why the relay closes a client: WebSocket close code (RFC 6455, section 7.4) and reason.

    Two more are `websockets`' own: 1002 for a breach of the protocol, 1009 for a message that is too big. They count as
    PROTOCOL_ERROR and MESSAGE_TOO_BIG.
    """

    GOING_AWAY = (1001, "going away")
    INVALID_TEXT = (1007, "text is not valid UTF-8")
    FRAME_RATE = (1008, "too many control frames or small fragments")
    MESSAGE_TIMEOUT = (1008, "message not finished in time")
    NOT_ALLOWED = (1008, "not allowed")
    UNEXPECTED_DATA = (1008, "unexpected data")
    TOO_MANY_FRAGMENTS = (1009, "too many fragments")
    KEEPALIVE_TIMEOUT = (1011, "keepalive timeout")
    SLOW_CONSUMER = (1013, "slow consumer")
    BUS_UNAVAILABLE = (1013, "bus unavailable")
    DELIVERY_UNKNOWN = (1013, "delivery unknown")
    PUBLISH_BUFFER_FULL = (1013, "publish buffer full")
    PUBLISH_REFUSED = (1013, "refused by the bus")
    # Asked for by a back end; see `comes_back`.
    FORCE_DISCONNECT = (3503, "force disconnect")
    UNSUBSCRIBED = (4500, "unsubscribed")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


OWN_FAULTS: Final = frozenset({1002, 1003, 1007, 1008, 1009})
"""Close codes with which a client is told that it did what isn't allowed."""


def comes_back(code: int) -> bool:
    """Return whether a client should come back after a close code, after a pause.

    A back end that closes clients says by the code whether they may: not after 3500 to 3999 and 4500 to 4999.
    """
    return code not in OWN_FAULTS and not 3500 <= code < 4000 and not 4500 <= code < 5000


@dataclass(frozen=True, slots=True)
class CustomDisconnect:
    """A close whose code and reason a back end chose; counted as `FORCE_DISCONNECT`.

    Args:
        code: WebSocket close code, 3000 to 4999.
        reason: at most 123 bytes of UTF-8.
    """

    code: int
    reason: str

    @property
    def name(self) -> str:
        """What it is counted as."""
        return Disconnect.FORCE_DISCONNECT.name


class RelayError(Exception):
    """Base of all errors of this package."""


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One setting that was refused.

    Args:
        variable: name of the environment variable.
        given: what was given, with secrets masked.
        allowed: what would have been accepted.
        located: whether `given` says where it stands, as the line of a file.
    """

    variable: str
    given: str
    allowed: str
    located: bool = False

    def __str__(self) -> str:
        return f"{self.variable}: got {self.given}; allowed: {self.allowed}"


class SettingsError(RelayError):
    """Settings that can't be used; holds every problem, not only the first one."""

    def __init__(self, problems: list[SettingProblem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class ChannelError(RelayError):
    """A channel name that breaks the rules of `relay.channel`."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(name, rule)
        self.name = name
        self.rule = rule

    def __str__(self) -> str:
        return f"channel {self.name[:80]!r}: {self.rule}"


class Unavailable(enum.Enum):
    """Why a client isn't let in for now: its name in the counters, and the sentence that the client is told."""

    FULL = ("full", "this gateway is full")
    DRAINING = ("draining", "this gateway is shutting down")
    BUS_TIMEOUT = ("bus_timeout", "the bus did not acknowledge the subscription in time")
    BUS_REFUSED = ("bus_refused", "the bus refused the subscription")
    AUTHENTICATION_TIMEOUT = ("authentication_timeout", "the client could not be identified in time")

    def __init__(self, cause: str, sentence: str) -> None:
        self.cause = cause
        self.sentence = sentence


class Refused(RelayError):
    """A request that is answered with an HTTP error.

    Args:
        status: HTTP status, 4xx or 5xx.
        reason: a sentence for the client, or why there is no place for it now.
        headers: further headers of the answer.

    Attributes:
        cause: its name in the counters, such as `full` or `bad_request`.
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
    """A client that has no right to do what it asks for.

    Args:
        action: what it asks for: `subscribe to` or `publish to`.
        channel: name of the channel.
    """

    def __init__(self, action: str, channel: str) -> None:
        super().__init__(action, channel)
        self.action = action
        self.channel = channel

    def __str__(self) -> str:
        return f"you may not {self.action} this channel"


class SubscriptionError(RelayError):
    """A client can't be subscribed to a channel, or unsubscribed from it, as things are with this client.

    Args:
        channel: name of the channel.
        rule: what stands against it.
    """

    def __init__(self, channel: str, rule: str) -> None:
        super().__init__(channel, rule)
        self.channel = channel
        self.rule = rule

    def __str__(self) -> str:
        return f"channel {self.channel!r}: {self.rule}"


class ProtocolError(RelayError):
    """A client broke its protocol, and has to be closed.

    Args:
        disconnect: what it is told.
        detail: what it did, for logs.
    """

    def __init__(self, disconnect: Disconnect, detail: str) -> None:
        super().__init__(disconnect, detail)
        self.disconnect = disconnect
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.disconnect.reason}: {self.detail}"


class ControlMessageError(RelayError):
    """A message of another gateway that is refused.

    Args:
        detail: what is wrong with it, for logs.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class SurveyError(RelayError):
    """Not all gateways answered a survey in time.

    Args:
        answered: number of gateways that answered.
        asked: number of gateways that received the request.
        seconds: how long the survey waited.
    """

    def __init__(self, answered: int, asked: int, seconds: float) -> None:
        super().__init__(answered, asked, seconds)
        self.answered = answered
        self.asked = asked
        self.seconds = seconds

    def __str__(self) -> str:
        return f"only {self.answered} of {self.asked} gateways answered within {self.seconds:g} s"


class BrokerError(RelayError):
    """The bus can't do what was asked."""


class SubscribeError(BrokerError):
    """The bus refused a subscription.

    Args:
        channel: name of the channel.
        reply: what the bus answered.
    """

    def __init__(self, channel: str, reply: str) -> None:
        super().__init__(channel, reply)
        self.channel = channel
        self.reply = reply

    def __str__(self) -> str:
        return f"subscribing to {self.channel!r} was refused: {self.reply}"


class PublishError(BrokerError):
    """A message that was not, or perhaps not, delivered to the bus.

    Args:
        detail: what happened, for logs and for the caller; never shown to WebSocket clients.
    """

    disconnect: ClassVar[Disconnect]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.disconnect.reason}: {self.detail}"


class BusUnavailable(PublishError):
    """The message was not sent: the bus was away for too long."""

    disconnect = Disconnect.BUS_UNAVAILABLE


class DeliveryUnknown(PublishError):
    """The message was sent, and the link broke before the bus answered; it is not sent again."""

    disconnect = Disconnect.DELIVERY_UNKNOWN


class PublishBufferFull(PublishError):
    """The message was not sent: too many bytes were waiting for the bus already."""

    disconnect = Disconnect.PUBLISH_BUFFER_FULL


class PublishRefused(PublishError):
    """The bus answered with an error; the message was not delivered."""

    disconnect = Disconnect.PUBLISH_REFUSED

"""What gateways say to each other, as JSON; pure.

Each is an object with `version` and `order`. A gateway refuses what has another version than its own.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from relay.channel import INTERNAL
from relay.errors import ControlMessageError

VERSION = 1

CONTROL_CHANNEL = f"{INTERNAL}control"
"""Channel that every gateway hears."""


MAX_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, section 5.5)."""

MAX_PATTERN_LETTERS = 255

MAX_CHANNELS = 10_000
"""Channels that one gateway names in an answer."""

MAX_ORDER_BYTES = 64 * 1024
"""What an order or a question may have: a thousand ids that stay are 35 kB."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""What an answer may have: `MAX_CHANNELS` names of 255 bytes, each written as an escape of two."""

_MAX_ERROR_LETTERS = 200


class Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag=str.lower):
    """Base of everything that gateways say.

    Args:
        version: of this format.
    """

    version: int = VERSION


class DisconnectCommand(Order, frozen=True, kw_only=True, tag="disconnect"):
    """Close clients.

    Args:
        user: their name; None for any.
        client: id of the one connection that is meant, 32 hexadecimal digits; None for all of the user.
        keep: ids of connections that stay.
        code: close code, 3000 to 4999; 0 for the usual one.
        reason: of the close, at most 123 bytes of UTF-8.
    """

    user: str | None = None
    client: str | None = None
    keep: frozenset[str] = frozenset()
    code: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what no close frame can carry: it must not come to light only at the client that is to be closed."""
        if self.code and not 3000 <= self.code <= 4999:
            raise ValueError("code must be 3000 to 4999")
        if len(self.reason.encode()) > MAX_REASON_BYTES:
            raise ValueError(f"reason must have at most {MAX_REASON_BYTES} bytes")


class UnsubscribeCommand(Order, frozen=True, kw_only=True, tag="unsubscribe"):
    """End the subscription of clients to a channel.

    Args:
        user, client: as in `DisconnectCommand`.
        channel: name of the channel.
    """

    user: str | None = None
    client: str | None = None
    channel: str


class SurveyRequest(Order, frozen=True, kw_only=True, tag="question"):
    """Ask every gateway for something.

    Args:
        asker: id of the gateway that wants the answers, 16 hexadecimal digits.
        number: by which it knows this question; from 1.
        pattern: which channels to tell about, with `*`, `?` and `[...]`; None: tell about the gateway instead.
    """

    asker: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    number: Annotated[int, Meta(ge=1, le=2**53)]
    pattern: Annotated[str, Meta(max_length=MAX_PATTERN_LETTERS)] | None = None


class NodeInfo(msgspec.Struct, frozen=True):
    """One gateway.

    Args:
        uid: its id, 16 hexadecimal digits.
        name: host and port.
        version: of the relay.
        num_clients: connections.
        num_users: different names among them.
        num_subs: subscriptions of clients.
        num_channels: channels that have a client here.
        uptime: seconds since it started.
    """

    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_subs: int
    num_channels: int
    uptime: int


class SurveyReply(Order, frozen=True, kw_only=True, tag="answer"):
    """What one gateway says to a question.

    Args:
        number: of the question.
        about: the gateway, when that was asked.
        channels: those that match, with their numbers of clients; None when that wasn't asked, or they are too many.
    """

    number: int
    about: NodeInfo | None = None
    channels: dict[str, int] | None = None


ToAll = DisconnectCommand | UnsubscribeCommand | SurveyRequest
"""What travels on the channel of all gateways; on a gateway's own channel, there are answers."""

Said = TypeVar("Said", bound=Order)

_to_all: msgspec.json.Decoder[ToAll] = msgspec.json.Decoder(ToAll)
_answer = msgspec.json.Decoder(SurveyReply)


def inbox(uid: str) -> str:
    """Return the channel that one gateway hears; `uid` is its id, 16 hexadecimal digits."""
    return f"{CONTROL_CHANNEL} {uid}"


def encode(order: ToAll | SurveyReply) -> bytes:
    """Return an order as it travels."""
    return msgspec.json.encode(order)


def decode(data: bytes) -> ToAll:
    """Return what was said to all gateways.

    Raises:
        ControlMessageError: it is none of it, of another version or too long.
    """
    return _decode(data, _to_all, MAX_ORDER_BYTES)


def decode_answer(data: bytes) -> SurveyReply:
    """Return what was said to this gateway alone.

    Raises:
        ControlMessageError: it is no answer, of another version or too long.
    """
    return _decode(data, _answer, MAX_ANSWER_BYTES)


def _decode(data: bytes, decoder: msgspec.json.Decoder[Said], most: int) -> Said:
    if len(data) > most:
        raise ControlMessageError(f"{len(data)} bytes, expected at most {most}")
    try:
        order = decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        # It may hold a value's whole text.
        raise ControlMessageError(f"{str(error)[:_MAX_ERROR_LETTERS]}: {data[:100]!r}") from None
    if order.version != VERSION:
        raise ControlMessageError(f"version {order.version}, expected {VERSION}")
    return order

"""What gateways say to each other, as JSON; pure.

Each is an object with `version` and `order`. A gateway refuses what has another version than its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from relay.channel import INTERNAL
from relay.message import Message

VERSION = 1

EVERYBODY = f"{INTERNAL}control"
"""Channel that every gateway hears."""


MAX_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, section 5.5)."""

MAX_PATTERN_LETTERS = 255


class OrderError(ValueError):
    """A message on a control channel that this gateway doesn't understand."""


class Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag=str.lower):
    """Base of everything that gateways say.

    Args:
        version: of this format.
    """

    version: int = VERSION


class Disconnect(Order, frozen=True, kw_only=True, tag="disconnect"):
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
    keep: tuple[str, ...] = ()
    code: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what no close frame can carry: it must not come to light only at the client that is to be closed."""
        if self.code and not 3000 <= self.code <= 4999:
            raise ValueError("code must be 3000 to 4999")
        if len(self.reason.encode()) > MAX_REASON_BYTES:
            raise ValueError(f"reason must have at most {MAX_REASON_BYTES} bytes")


class Unsubscribe(Order, frozen=True, kw_only=True, tag="unsubscribe"):
    """End the subscription of clients to a channel.

    Args:
        user, client: as in `Disconnect`.
        channel: name of the channel.
    """

    user: str | None = None
    client: str | None = None
    channel: str


class Question(Order, frozen=True, kw_only=True, tag="question"):
    """Ask every gateway for something.

    Args:
        asker: id of the gateway that wants the answers, 16 hexadecimal digits.
        number: by which it knows this question.
        pattern: which channels to tell about, with `*`, `?` and `[...]`; None: tell about the gateway instead.
    """

    asker: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    number: int
    pattern: Annotated[str, Meta(max_length=MAX_PATTERN_LETTERS)] | None = None


class About(msgspec.Struct, frozen=True):
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


class Answer(Order, frozen=True, kw_only=True, tag="answer"):
    """What one gateway says to a question.

    Args:
        number: of the question.
        about: the gateway, when that was asked.
        channels: those that match, with their numbers of clients; None when that wasn't asked, or they are too many.
    """

    number: int
    about: About | None = None
    channels: dict[str, int] | None = None


AnyOrder = Disconnect | Unsubscribe | Question | Answer

_decoder = msgspec.json.Decoder(AnyOrder)


def inbox(uid: str) -> str:
    """Return the channel that one gateway hears; `uid` is its id, 16 hexadecimal digits."""
    return f"{EVERYBODY} {uid}"


def encode(order: AnyOrder) -> bytes:
    """Return an order as it travels; it has no line break."""
    return msgspec.json.encode(order)


def encode_line(message: Message) -> bytes:
    """Return a message of a control channel as one line, so that the hub can join several."""
    return message.payload + b"\n"


def decode_lines(data: bytes) -> Iterable[AnyOrder | OrderError]:
    """Yield the orders of joined lines, and an error for each line that is none."""
    for line in data.split(b"\n")[:-1]:
        try:
            order = _decoder.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            yield OrderError(f"{error}: {line[:100]!r}")
            continue
        yield order if order.version == VERSION else OrderError(f"version {order.version}, expected {VERSION}")

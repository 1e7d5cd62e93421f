"""The messages that gateways send each other, as JSON; pure.

Each is an object with `version` and with `order`, which names its kind. A gateway refuses a message of another version
than its own, and ignores fields that it doesn't know. Gateways of two releases run side by side during a rolling
upgrade: kinds and fields keep their names, whatever the classes are called.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from relay.channel import INTERNAL
from relay.control.commands import VERSION, ClientCommand, ControlMessage
from relay.errors import RelayError

CONTROL_CHANNEL = f"{INTERNAL}control"
"""Channel to which every gateway is subscribed."""

MAX_PATTERN_LETTERS = 255

MAX_NAME_LETTERS = 300
"""Of a gateway's name: a host name has at most 255, its port is behind it."""

MAX_SESSION_LETTERS = 64
"""Of the token that names a client."""

MAX_CHANNELS = 10_000
"""Channels that one gateway names in a reply."""

MAX_BROADCAST_BYTES = 64 * 1024
"""Size of a message on `CONTROL_CHANNEL`: a thousand ids of connections that stay are 35 kB."""

MAX_INBOX_BYTES = 8 * 1024 * 1024
"""Size of a message in an inbox: `MAX_CHANNELS` names of 255 bytes, each written as an escape of two."""

_MAX_ERROR_LETTERS = 200

Uid = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
"""Id of a gateway, 16 hexadecimal digits."""


class ControlMessageError(RelayError):
    """A message of another gateway is refused.

    Args:
        detail: what is wrong with it, for logs.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class UnblockCommand(ControlMessage, frozen=True, kw_only=True, tag="unblock_user"):
    """Let in the clients of a user again.

    Args:
        user: its name.
    """

    user: str


class ForgetHistoryCommand(ControlMessage, frozen=True, kw_only=True, tag="forget_history"):
    """Forget the messages of a channel whose history was removed.

    Args:
        channel: name of the channel.
    """

    channel: str


class SurveyRequest(ControlMessage, frozen=True, kw_only=True, tag="question"):
    """Ask every gateway for something.

    Args:
        asker: uid of the gateway to which the replies go.
        number: by which the asker knows this survey; from 1.
        pattern: which channels to report, with `*`, `?` and `[...]`; None: report the gateway instead.
    """

    asker: Uid
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


class SurveyReply(ControlMessage, frozen=True, kw_only=True, tag="answer"):
    """What one gateway replies to a survey.

    Args:
        number: of the survey.
        about: the gateway, when the survey asks for it.
        channels: those that match, with their numbers of clients; None when the survey doesn't ask for them, or when
            they are too many.
        uid: of the gateway. Sent only where surveys need it, see `KnownNodes`.
    """

    number: int
    about: NodeInfo | None = None
    channels: dict[str, int] | None = None
    uid: Uid | UnsetType = UNSET


class NodeAnnouncement(ControlMessage, frozen=True, kw_only=True, tag="announcement"):
    """Tell the other gateways that this one is there; see `KnownNodes`.

    Args:
        uid: of the gateway.
        name: host and port.
    """

    uid: Uid
    name: Annotated[str, Meta(max_length=MAX_NAME_LETTERS)]


class NodeShutdown(ControlMessage, frozen=True, kw_only=True, tag="shutdown"):
    """Tell the other gateways that this one leaves; see `KnownNodes`.

    Args:
        uid: of the gateway.
    """

    uid: Uid


class EmulationCommand(ControlMessage, frozen=True, kw_only=True, tag="emulation"):
    """Take what a client of this gateway has said to another one; see `relay.control.forwarding`.

    Args:
        session, data: the token that names the client, and commands; base64 in JSON.
    """

    session: Annotated[str, Meta(max_length=MAX_SESSION_LETTERS)]
    data: bytes


Broadcast = ClientCommand | UnblockCommand | ForgetHistoryCommand | SurveyRequest | NodeAnnouncement | NodeShutdown
"""A message on `CONTROL_CHANNEL`, for all gateways."""

ToInbox = SurveyReply | NodeAnnouncement | EmulationCommand
"""A message in the inbox of one gateway."""

_Decoded = TypeVar("_Decoded", bound=ControlMessage)

_broadcast: msgspec.json.Decoder[Broadcast] = msgspec.json.Decoder(Broadcast)
_to_inbox: msgspec.json.Decoder[ToInbox] = msgspec.json.Decoder(ToInbox)


def inbox(uid: str) -> str:
    """Return the channel to which only one gateway is subscribed; `uid` is its id, 16 hexadecimal digits."""
    return f"{CONTROL_CHANNEL} {uid}"


def encode(message: Broadcast | ToInbox) -> bytes:
    """Return a message as it travels."""
    return msgspec.json.encode(message)


def decode_broadcast(data: bytes) -> Broadcast:
    """Return a message that came on `CONTROL_CHANNEL`.

    Raises:
        ControlMessageError: it is malformed, of another version, too long, or belongs in an inbox.
    """
    return _decode(data, _broadcast, MAX_BROADCAST_BYTES)


def decode_inbox(data: bytes) -> ToInbox:
    """Return a message that came to the inbox of this gateway.

    Raises:
        ControlMessageError: it is malformed, of another version, too long, or belongs on `CONTROL_CHANNEL`.
    """
    return _decode(data, _to_inbox, MAX_INBOX_BYTES)


def _decode(data: bytes, decoder: msgspec.json.Decoder[_Decoded], max_bytes: int) -> _Decoded:
    if len(data) > max_bytes:
        raise ControlMessageError(f"{len(data)} bytes, expected at most {max_bytes}")
    try:
        message = decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        # Cut: the error may hold the whole text of a value.
        raise ControlMessageError(f"{str(error)[:_MAX_ERROR_LETTERS]}: {data[:100]!r}") from None
    if message.version != VERSION:
        raise ControlMessageError(f"version {message.version}, expected {VERSION}")
    return message

"""Results of the methods, one struct for each. The OpenAPI document is made from them, docstrings included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from relay.control.messages import NodeInfo
from relay.member import Member


class ErrorBody(msgspec.Struct, frozen=True):
    """Why something could not be done."""

    code: int
    message: str


class ErrorReply(msgspec.Struct, frozen=True):
    """The reply of a command that failed."""

    error: ErrorBody


class EmptyResult(msgspec.Struct, frozen=True):
    """Done; there is nothing to tell."""


class PublishResult(msgspec.Struct, frozen=True, kw_only=True):
    """The bus has the message. In a channel that counts its messages, offset and epoch are its position."""

    offset: int | msgspec.UnsetType = msgspec.UNSET
    epoch: str | msgspec.UnsetType = msgspec.UNSET


class PublishReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message in one channel: a result or an error."""

    result: PublishResult | msgspec.UnsetType = msgspec.UNSET
    error: ErrorBody | msgspec.UnsetType = msgspec.UNSET


class BroadcastResult(msgspec.Struct, frozen=True):
    """What became of the message in each channel, in the order of the request."""

    responses: list[PublishReply]


class ChannelInfo(msgspec.Struct, frozen=True):
    """One channel: its clients on all gateways."""

    num_clients: int


class ChannelsResult(msgspec.Struct, frozen=True):
    """All channels that have clients."""

    channels: dict[str, ChannelInfo]


class PublisherInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The client that published a message.

    Args:
        user: its user, empty where it has none; absent where the message doesn't say.
        client: the id of its connection.
        conn_info: JSON that was given for its connection; absent: none.
        chan_info: JSON that was given for its subscription; absent: none.
    """

    user: str | msgspec.UnsetType = msgspec.UNSET
    client: str
    conn_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    chan_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a history.

    Args:
        data: its JSON; null when it is binary.
        offset: of its position.
        b64data: of a binary message, in base64.
        text: true when it isn't JSON: `data` has its text as a string.
        info: which client has published it; absent when it was a back end.
        tags: what a back end has put on it, an object of strings; absent: nothing.
    """

    data: msgspec.Raw
    offset: int
    b64data: str | msgspec.UnsetType = msgspec.UNSET
    text: bool | msgspec.UnsetType = msgspec.UNSET
    info: PublisherInfo | msgspec.UnsetType = msgspec.UNSET
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class HistoryResult(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a channel; offset and epoch are the position of its newest message."""

    publications: list[Publication]
    offset: int
    epoch: str


class ClientInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One client on a channel.

    Args:
        user: its user; empty: it has none.
        client: the id of its connection.
        conn_info: JSON that its token, its key or a back end has given for it; absent: none.
        chan_info: JSON that was given for its subscription to the channel; absent: none.
    """

    user: str
    client: str
    conn_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    chan_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, member: Member) -> ClientInfo:
        """Return a member of a channel as back ends get it."""
        return cls(
            user=member.user or "",
            client=member.client,
            conn_info=member.info,
            chan_info=member.channel_info,
        )


class PresenceResult(msgspec.Struct, frozen=True):
    """Who is on a channel, by the ids of connections."""

    presence: dict[str, ClientInfo]

    @classmethod
    def of(cls, clients: Iterable[ClientInfo]) -> PresenceResult:
        """Return clients on a channel."""
        return cls({client.client: client for client in clients})


class PresenceStatsResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many are on a channel; all clients without a user count as one user."""

    num_clients: int
    num_users: int


class InfoResult(msgspec.Struct, frozen=True):
    """All gateways."""

    nodes: list[NodeInfo]


Result = (
    EmptyResult
    | PublishResult
    | BroadcastResult
    | HistoryResult
    | PresenceResult
    | PresenceStatsResult
    | ChannelsResult
    | InfoResult
)


class BatchReplies(msgspec.Struct, frozen=True):
    """The replies, in the order of the commands: each is its method's name with its result, or an error."""

    replies: list[dict[str, Any]]

"""Results of the methods, one struct for each. The OpenAPI document is made from them, docstrings included."""

from __future__ import annotations

from typing import Any

import msgspec

from relay.control.messages import NodeInfo


class ErrorBody(msgspec.Struct, frozen=True):
    """Why something could not be done."""

    code: int
    message: str


class ErrorReply(msgspec.Struct, frozen=True):
    """The reply of a command that failed."""

    error: ErrorBody


class EmptyResult(msgspec.Struct, frozen=True):
    """Done; there is nothing to tell."""


class PublishReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message in one channel: a result or an error."""

    result: EmptyResult | msgspec.UnsetType = msgspec.UNSET
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


class InfoResult(msgspec.Struct, frozen=True):
    """All gateways."""

    nodes: list[NodeInfo]


Result = EmptyResult | BroadcastResult | ChannelsResult | InfoResult


class BatchReplies(msgspec.Struct, frozen=True):
    """The replies, in the order of the commands: each is its method's name with its result, or an error."""

    replies: list[dict[str, Any]]

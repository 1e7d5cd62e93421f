"""What clients of the Centrifuge protocol say: commands, each of which carries one request.

The fields have the names of the protocol's schema, `client.proto`. Fields of the schema that no gateway heeds are left
out: readers ignore them, as they ignore what later versions of the schema add.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""A `uint32` of the schema."""

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
"""An `int32` of the schema."""

Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A `uint64` of the schema; the highest bit, which no offset reaches, is refused: msgspec compares with 64 bits."""

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""An `int64` of the schema."""

MOST_NAMES: Final = 16_384
"""Of the maps of a `connect`: no client has as many channels by the server, and 1 MiB has room for 100,000 names, which
would hold up all other clients for 200 ms."""

NO_DATA: Final = Raw(b"")
"""Nothing: the field isn't there, or is `null`."""


class StreamPosition(Struct, frozen=True, gc=False):
    """A place in a channel's history.

    Args:
        offset: 0: before the first publication.
        epoch: "": any.
    """

    offset: Offset = 0
    epoch: str = ""


class FilterNode(Struct, frozen=True, gc=False):
    """A filter by tags. No namespace allows one, so only whether there is one is read."""


class SubscribeRequest(Struct, frozen=True, gc=False):
    """Subscribe to a channel; also one of the values of `ConnectRequest.subs`, which name no channel.

    Args:
        channel: its name.
        token: permits the subscription; "": none.
        recover: publications after `offset` of `epoch` are wanted.
        epoch: of the position that the client knows.
        offset: of the position that the client knows.
        data: for the back end; empty: nothing.
        positioned: the client wants to be told of gaps.
        recoverable: the client wants to be able to recover.
        join_leave: the client wants to be told who comes and who goes.
        delta: name of the encoding in which the client wants deltas; "": none.
        tf: a filter by tags; None: all publications are wanted.
        flag: bits: 1: numbers instead of names of channels; 2: an error instead of a subscription without recovery.
        type: 0: of a stream; others are not of this relay.
    """

    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: Offset = 0
    data: Raw = NO_DATA
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    tf: FilterNode | None = None
    flag: Int64 = 0
    type: Int32 = 0


class ConnectRequest(Struct, frozen=True):
    """Say who the client is; the first command of each.

    Args:
        token: its own; "": none.
        data: for the back end; empty: nothing.
        subs: channel → what the client knows of the subscriptions that the server made for it before.
        name: of the client's library or program.
        version: of the client's library or program.
        headers: what stands for headers of HTTP where a client can't set any.
    """

    token: str = ""
    data: Raw = NO_DATA
    subs: Annotated[dict[str, SubscribeRequest], Meta(max_length=MOST_NAMES)] = {}
    name: str = ""
    version: str = ""
    headers: Annotated[dict[str, str], Meta(max_length=MOST_NAMES)] = {}


class UnsubscribeRequest(Struct, frozen=True, gc=False):
    """End a subscription."""

    channel: str = ""


class PublishRequest(Struct, frozen=True, gc=False):
    """Publish to a channel.

    Args:
        channel: its name.
        data: what is published; empty: nothing.
        type: 0: to a stream; others are not of this relay.
    """

    channel: str = ""
    data: Raw = NO_DATA
    type: Int32 = 0


class PresenceRequest(Struct, frozen=True, gc=False):
    """Ask who is subscribed to a channel."""

    channel: str = ""


class PresenceStatsRequest(Struct, frozen=True, gc=False):
    """Ask how many are subscribed to a channel."""

    channel: str = ""


class HistoryRequest(Struct, frozen=True, gc=False):
    """Ask for publications of a channel's history.

    Args:
        channel: its name.
        limit: how many; 0: none, only the position; -1: all.
        since: after which, or before which when `reverse`; None: from the end at which one begins.
        reverse: the newest first.
    """

    channel: str = ""
    limit: Int32 = 0
    since: StreamPosition | None = None
    reverse: bool = False


class PingRequest(Struct, frozen=True, gc=False):
    """Of the schema only: no client sends it."""


class SendRequest(Struct, frozen=True, gc=False):
    """Send something to the back end, without an answer."""

    data: Raw = NO_DATA


class RpcRequest(Struct, frozen=True, gc=False):
    """Ask the back end something.

    Args:
        data: the question; empty: nothing.
        method: what it is about.
    """

    data: Raw = NO_DATA
    method: str = ""


class RefreshRequest(Struct, frozen=True, gc=False):
    """Renew the client's token."""

    token: str = ""


class SubRefreshRequest(Struct, frozen=True, gc=False):
    """Renew the token of a subscription.

    Args:
        channel: its name.
        token: the new one.
        type: 0: of a stream; others are not of this relay.
    """

    channel: str = ""
    token: str = ""
    type: Int32 = 0


class Command(Struct, frozen=True):
    """One command. One without a request and without an id is a pong.

    Args:
        id: repeated by the reply; 0: no reply is expected.
        connect: and the others: the request; None: this is another one. The first that is there counts.
    """

    id: UInt32 = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: PresenceRequest | None = None
    presence_stats: PresenceStatsRequest | None = None
    history: HistoryRequest | None = None
    ping: PingRequest | None = None
    send: SendRequest | None = None
    rpc: RpcRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

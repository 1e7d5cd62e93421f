"""What clients of the Centrifuge protocol are told: results of commands, and pushes.

The fields have the names of the protocol's schema, `client.proto`. A field with a default is left out where it has it,
as servers of the protocol do; the others are always there, because some client reads them without asking.

Fields of type `Raw` are written as they are: a format's `data` makes them. None: nothing; never an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Raw, Struct


class Error(Struct, frozen=True, gc=False, omit_defaults=True):
    """Why a command failed.

    Args:
        code: 100 to 399: of the protocol, see `codes`; 400 to 1999: of a back end.
        message: the same in words.
        temporary: the client may try again.
    """

    code: int
    message: str
    temporary: bool = False


class ClientInfo(Struct, frozen=True, gc=False, omit_defaults=True):
    """Who a client is.

    Args:
        user: its name; "": none.
        client: its id, in hexadecimal digits.
        conn_info: what the back end said of it.
        chan_info: what the back end said of it in this channel.
    """

    user: str
    client: str
    conn_info: Raw | None = None
    chan_info: Raw | None = None


class Publication(Struct, frozen=True, gc=False, omit_defaults=True):
    """A message of a channel; as a push: that it was published.

    Args:
        data: what was published, or a delta.
        info: who published it; None: a back end.
        offset: its number in the channel's history; 0: it has none.
        tags: of the back end that published it; None: none.
        delta: `data` is the delta to the publication before.
        epoch: of the channel's history; only the first publication of one tells it.
    """

    key: ClassVar[str] = "pub"

    data: Raw
    info: ClientInfo | None = None
    offset: int = 0
    tags: Mapping[str, str] | None = None
    delta: bool = False
    epoch: str = ""


class SubscribeResult(Struct, frozen=True, gc=False, omit_defaults=True):
    """The client is subscribed; also one of the values of `ConnectResult.subs`.

    Args:
        expires: the subscription ends when `ttl` seconds have passed, unless it is renewed.
        ttl: seconds; 0: it doesn't end.
        recoverable: publications that are missed can be recovered.
        epoch: of the position.
        publications: those that the client had missed, the oldest first; None: none.
        recovered: they are all that it had missed.
        offset: of the position from which the client counts on.
        positioned: the client is told of gaps.
        data: of the back end.
        was_recovering: the client had asked for publications that it had missed.
        delta: publications may be deltas.
    """

    key: ClassVar[str] = "subscribe"

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: Sequence[Publication] | None = None
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    data: Raw | None = None
    was_recovering: bool = False
    delta: bool = False


class ConnectResult(Struct, frozen=True, gc=False, omit_defaults=True):
    """The client is known now.

    Args:
        client: its id, in hexadecimal digits.
        version: of the server.
        expires: the client is closed when `ttl` seconds have passed, unless it renews its token.
        ttl: seconds; 0: it isn't.
        data: of the back end.
        subs: channel → a subscription that the server has made for it; None: none.
        ping: seconds between two pings; 0: none.
        pong: the client has to answer them.
        session: names the client where each of its commands is a request of its own.
        node: names its gateway where each of its commands is a request of its own.
        time: of the server, in milliseconds since 1970; 0: it isn't told.
    """

    key: ClassVar[str] = "connect"

    client: str
    version: str
    expires: bool = False
    ttl: int = 0
    data: Raw | None = None
    subs: Mapping[str, SubscribeResult] | None = None
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""
    time: int = 0


class UnsubscribeResult(Struct, frozen=True, gc=False):
    """The subscription has ended."""

    key: ClassVar[str] = "unsubscribe"


class PublishResult(Struct, frozen=True, gc=False):
    """It is published."""

    key: ClassVar[str] = "publish"


class PresenceResult(Struct, frozen=True, gc=False):
    """Who is subscribed to a channel.

    Args:
        presence: a client's id → who it is.
    """

    key: ClassVar[str] = "presence"

    presence: Mapping[str, ClientInfo]


class PresenceStatsResult(Struct, frozen=True, gc=False):
    """How many are subscribed to a channel: clients, and different users among them."""

    key: ClassVar[str] = "presence_stats"

    num_clients: int
    num_users: int


class HistoryResult(Struct, frozen=True, gc=False):
    """Publications of a channel's history.

    Args:
        publications: in the order that was asked for.
        epoch: of the position of its newest publication.
        offset: of the position of its newest publication.
    """

    key: ClassVar[str] = "history"

    publications: Sequence[Publication]
    epoch: str
    offset: int


class RpcResult(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the back end answered; None: nothing."""

    key: ClassVar[str] = "rpc"

    data: Raw | None = None


class RefreshResult(Struct, frozen=True, gc=False, omit_defaults=True):
    """The client's token is renewed.

    Args:
        client: its id, in hexadecimal digits; "": it isn't told.
        version: of the server; "": it isn't told.
        expires: the client is closed when `ttl` seconds have passed, unless it renews its token again.
        ttl: seconds; 0: it isn't.
    """

    key: ClassVar[str] = "refresh"

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class SubRefreshResult(Struct, frozen=True, gc=False, omit_defaults=True):
    """The token of a subscription is renewed: for `ttl` seconds when it `expires`."""

    key: ClassVar[str] = "sub_refresh"

    expires: bool = False
    ttl: int = 0


Result = (
    ConnectResult
    | SubscribeResult
    | UnsubscribeResult
    | PublishResult
    | PresenceResult
    | PresenceStatsResult
    | HistoryResult
    | RpcResult
    | RefreshResult
    | SubRefreshResult
)
"""What a reply carries when its command is done. `key` names the field."""

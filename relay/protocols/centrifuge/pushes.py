"""What clients of the Centrifuge protocol are told without having asked; `Publication` is a push, too.

Each belongs to a channel or to none, which is said beside it. The rules for fields are those of `results`.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Raw, Struct

from relay.protocols.centrifuge.results import ClientInfo, ConnectResult, Publication


class Join(Struct, frozen=True, gc=False):
    """A client has joined the channel."""

    key: ClassVar[str] = "join"

    info: ClientInfo


class Leave(Struct, frozen=True, gc=False):
    """A client has left the channel."""

    key: ClassVar[str] = "leave"

    info: ClientInfo


class Unsubscribe(Struct, frozen=True, gc=False):
    """The server has ended the subscription to the channel.

    Args:
        code: from 2500 on the client subscribes again; see `codes`.
        reason: the same in words.
    """

    key: ClassVar[str] = "unsubscribe"

    code: int
    reason: str


class Message(Struct, frozen=True, gc=False):
    """The back end says something to this client alone."""

    key: ClassVar[str] = "message"

    data: Raw


class Subscribe(Struct, frozen=True, gc=False, omit_defaults=True):
    """The server has subscribed the client to the channel.

    Args:
        recoverable: publications that are missed can be recovered.
        epoch: of the position from which the client counts on.
        offset: of the position from which the client counts on.
        positioned: the client is told of gaps.
        data: of the back end; None: none.
    """

    key: ClassVar[str] = "subscribe"

    recoverable: bool = False
    epoch: str = ""
    offset: int = 0
    positioned: bool = False
    data: Raw | None = None


class Connect(ConnectResult, frozen=True, gc=False):
    """The client is known now: the first push to one that can't say anything."""


class Disconnect(Struct, frozen=True, gc=False, omit_defaults=True):
    """The server closes the client, where the connection itself can't say why.

    Args:
        code: see `codes`; it also says whether the client comes back.
        reason: the same in words.
    """

    key: ClassVar[str] = "disconnect"

    code: int
    reason: str


class Refresh(Struct, frozen=True, gc=False, omit_defaults=True):
    """The back end has renewed the client's token: for `ttl` seconds when it `expires`."""

    key: ClassVar[str] = "refresh"

    expires: bool = False
    ttl: int = 0


Push = Publication | Join | Leave | Unsubscribe | Message | Subscribe | Connect | Disconnect | Refresh
"""What a push carries. `key` names the field."""

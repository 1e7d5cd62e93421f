"""The contract of protocols whose clients have several channels, and of their sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol, TypeVar

import msgspec

from relay.errors import RelayError
from relay.member import Member
from relay.message import Encoder, PositionedMessage
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.protocols import ClientProtocol, Session
from relay.protocols.request import ConnectRequest
from relay.replay import Replay, Resume

_T = TypeVar("_T")

Answer = Callable[[_T | RelayError], None]
"""Called once with what was asked for, during the call or later, or with why it can't be had. Never after the client
has left. A fault in it ends the client."""

Subscribed = Answer[Replay | None]
"""Told that a subscription has begun, with what the client gets of the messages before; None: they have no positions.
What is written in this call comes in front of the channel's live messages. Or why there is no subscription:
`SubscribeError`, `Refused`, `TokenRefused`."""

ANY_EPOCH: Final = ""
"""As the epoch of a position: whatever epoch the channel has."""


class SubscribeOptions(msgspec.Struct, frozen=True, gc=False):
    """How a client wants to be subscribed to a channel.

    Args:
        resume: what it wants of the messages before.
        token: that gives it the right to; empty: it has none.
        granted: whether it may, whatever its rights say: it was not the client that asked.
        info: JSON that presence will show of it on this channel; None: nothing.
        join_leave: whether it wants to hear who comes and who goes, where that is told and it may know it.
        encode: encoder of the channel's messages for it; None: as `MultiplexedProtocol.encoder` says.
    """

    resume: Resume = 0
    token: str = ""
    granted: bool = False
    info: bytes | None = None
    join_leave: bool = False
    encode: Encoder | None = None


AS_USUAL: Final = SubscribeOptions()


class HistoryQuery(msgspec.Struct, frozen=True, gc=False):
    """What a client wants of a channel's history.

    Args:
        limit: messages at most; 0: only the position; None: as many as one answer can have.
        since: those after this position, or with `newest_first` before it; None: from an end on.
        newest_first: the order.
    """

    limit: int | None
    since: Position | None = None
    newest_first: bool = False


class ServerSubscription(msgspec.Struct, frozen=True, gc=False):
    """A channel to which a client is subscribed without having asked.

    Args:
        info: as in `SubscribeOptions`.
        data: JSON that the client is told with it; None: none.
    """

    info: bytes | None = None
    data: bytes | None = None


class ConnectGrant(msgspec.Struct, frozen=True, gc=False):
    """What a client is told when it is known who it is.

    Args:
        seconds: for which its right lasts; None: without end.
        subscriptions: channels to which it is to be subscribed now.
        data: JSON for it; None: none.
    """

    seconds: float | None = None
    subscriptions: Mapping[str, ServerSubscription] = {}
    data: bytes | None = None


class Granted(msgspec.Struct, frozen=True, gc=False):
    """What a client is told with a subscription.

    Args:
        seconds: for which it lasts; None: without end.
        data: JSON for the client; None: none.
    """

    seconds: float | None = None
    data: bytes | None = None


class MultiplexedSession(Session, Protocol):
    """What such a protocol can do for one client."""

    @property
    def ping_seconds(self) -> float:
        """Seconds between two pings of the client."""

    @property
    def node(self) -> str:
        """Id of the gateway that has the client, 16 hexadecimal digits."""

    def options(self, channel: str) -> ChannelOptions:
        """Return what the namespace of a channel says."""

    def fits(self, channels: int) -> bool:
        """Return whether the client can have so many channels; when not, the limit counts as reached."""

    def shared(self, channel: str, key: object, make: Callable[[], _T]) -> _T:
        """Return what clients of this gateway share on a channel: what was made for the first of them.

        Args:
            channel: its name.
            key: what it is.
            make: makes it, when no client has it.
        """

    def connect(
        self, opening: ConnectRequest | None, token: str, headers: Mapping[str, str], answer: Answer[ConnectGrant]
    ) -> None:
        """Find out who the client is; again, when its right is about to end: it must be the same user then.

        Args:
            opening: the request with which it has connected; None: it says it again.
            token: that it has sent after that; empty: it sends none.
            headers: that it has sent after that.
            answer: told what its identity gives it; or `Refused`.
        """

    def subscribe(self, channel: str, subscribed: Subscribed, options: SubscribeOptions = AS_USUAL) -> None:
        """Deliver a channel to the client.

        Args:
            channel: its name.
            subscribed: told when the bus has acknowledged; what is published after that is delivered.
            options: how.

        Raises:
            ChannelError: the name is not legal.
            NotAllowed: the client has no right to; or not to the history, of which it wants the newest messages.
            SubscriptionError: the client is subscribed already, or to too many channels.
        """

    def unsubscribe(self, channel: str) -> None:
        """Deliver a channel no longer.

        When the subscription has not begun yet, it is told now that it has failed.

        Raises:
            SubscriptionError: the client isn't subscribed to it.
        """

    def fall_silent(self, channel: str) -> None:
        """Deliver nothing more of a channel, and close the client when its turn has come: it lacks messages there.

        For one that can't be told otherwise, and would count on from the next message as if it had those before.

        Raises:
            SubscriptionError: the client isn't subscribed to it.
        """

    def renew_subscription(self, channel: str, token: str, answer: Answer[float | None]) -> None:
        """Let a subscription end later, as a token says.

        Args:
            channel: its name.
            token: for it.
            answer: told for how many seconds it lasts, None: without end; or `TokenRefused`, `Refused` when that isn't
                known in time, or `SubscriptionError` when the subscription has ended meanwhile.

        Raises:
            SubscriptionError: the client isn't subscribed to it.
        """

    def granted(self, channel: str) -> Granted:
        """Return what the client is told with a subscription.

        Raises:
            SubscriptionError: the client isn't subscribed to the channel.
        """

    def read_history(
        self,
        channel: str,
        query: HistoryQuery,
        encode: Callable[[PositionedMessage], _T],
        answer: Answer[tuple[Position, list[_T]]],
    ) -> None:
        """Read messages of before.

        Args:
            channel: its name.
            query: which.
            encode: called with each message; if there are many, others have their turn meanwhile.
            answer: told the position of the newest message, and what `encode` has made of each; or `BrokerError`.

        Raises:
            ChannelError, NotAllowed: as for `subscribe`.
            NotAvailable: the channel keeps none.
        """

    def see_presence(self, channel: str, encode: Callable[[Member], _T], answer: Answer[list[_T]]) -> None:
        """Find out who is on a channel; raises what `read_history` does."""

    def count_presence(self, channel: str, answer: Answer[tuple[int, int]]) -> None:
        """Find out how many clients and how many users are on a channel; raises what `read_history` does."""

    def call(self, method: str, data: bytes, binary: bool, answer: Answer[bytes]) -> None:
        """Call a procedure of the back end.

        Args:
            method: its name.
            data: JSON, or any bytes; empty: none.
            binary: whether they are any bytes.
            answer: told what the back end answers; or `RpcNotAvailable`, `RpcError`, `RpcDisconnect`, `RpcFailed`.
        """

    def hold_deliveries(self) -> None:
        """Write nothing of channels until the next `reply`: something has to be told first."""

    def reply(self, data: bytes) -> bool:
        """Write the answer to a request, in order with messages; however long one is, it is not taken for slowness.

        Returns:
            Whether the client has still to take some of what was written: `writable` tells when it has. Of several long
            answers at a time only the first is no slowness.
        """

    def pause(self) -> None:
        """Read nothing more of the client until `resume`; a few messages that have arrived may still come."""

    def resume(self) -> None:
        """Read on."""

    def take_turn(self) -> None:
        """Let `MultiplexedProtocol.go_on` be called when it is the client's turn, while it is paused."""

    def count(self, messages: int) -> None:
        """Count what the client has sent as so many more messages: a message may ask for as much as many do."""


class MultiplexedProtocol(ClientProtocol, Protocol):
    """One client's side of such a protocol."""

    @property
    def format(self) -> Literal["json", "protobuf"]:
        """What its data are."""

    @property
    def connects_by_message(self) -> bool:
        """Whether the client says who it is by a message, after its handshake; until then it may do nothing."""

    @property
    def first(self) -> bytes:
        """What the client has said with its request already, as if it was its first message; empty: nothing."""

    def release(self) -> None:
        """Let go of the session: the client has gone. They hold each other until then."""

    def writable(self) -> None:
        """Be told that the client has taken what was written; see `MultiplexedSession.reply`."""

    def go_on(self, session: MultiplexedSession) -> int:
        """Do a part of what is left of what the client has sent; see `MultiplexedSession.take_turn`.

        Returns:
            As how many messages it counts.

        Raises:
            ProtocolError: the client broke the protocol, and has to be closed.
        """

    def encoder(self, options: ChannelOptions) -> Encoder:
        """Return the encoder of the messages of channels with such options."""

    def subscribed(self, session: Session, channel: str, subscription: ServerSubscription) -> Subscribed:
        """Return what is told when a subscription has begun that a back end has wanted."""

    def renewed(self, session: Session, seconds: float | None) -> None:
        """Be told that a back end lets the client stay for so many seconds from now; None: without end."""

    def expired(self, session: Session, channel: str) -> None:
        """Be told that the right to a channel has ended; so has the subscription."""

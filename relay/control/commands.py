"""Commands about clients that gateways send each other, as `relay.control.messages` sends everything; pure."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, UnsetType

from relay.auth.given_json import ABSENT, given_json
from relay.protocols.multiplexed import ServerSubscription

VERSION = 1

MAX_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, section 5.5)."""


class ControlMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag=str.lower):
    """Base of all messages between gateways.

    Args:
        version: of this format.
    """

    version: int = VERSION


class DisconnectCommand(ControlMessage, frozen=True, kw_only=True, tag="disconnect"):
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
        """Refuse what no close frame can carry: otherwise only closing the client would bring it to light."""
        if self.code and not 3000 <= self.code <= 4999:
            raise ValueError("code must be 3000 to 4999")
        if len(self.reason.encode()) > MAX_REASON_BYTES:
            raise ValueError(f"reason must have at most {MAX_REASON_BYTES} bytes")


class UnsubscribeCommand(ControlMessage, frozen=True, kw_only=True, tag="unsubscribe"):
    """End the subscription of clients to a channel.

    Args:
        user, client: as in `DisconnectCommand`.
        channel: name of the channel.
    """

    user: str | None = None
    client: str | None = None
    channel: str


class SubscribeCommand(ControlMessage, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe clients to a channel. Those that can't have further subscriptions take no notice.

    Args:
        user, client: as in `DisconnectCommand`.
        channel: name of the channel.
        info: JSON that others are shown of the clients in this channel; absent: nothing.
        data: JSON for the clients; absent: nothing.
    """

    user: str | None = None
    client: str | None = None
    channel: str
    info: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET

    @property
    def subscription(self) -> ServerSubscription:
        """The subscription that each of them gets."""
        return ServerSubscription(given_json(self.info or ABSENT), given_json(self.data or ABSENT))


class RefreshCommand(ControlMessage, frozen=True, kw_only=True, tag="refresh"):
    """Give clients another end.

    Args:
        user, client: as in `DisconnectCommand`.
        expires_at: when they are to be disconnected, in seconds since 1970; None: never.
        expired: whether they are disconnected now.
    """

    user: str | None = None
    client: str | None = None
    expires_at: float | None = None
    expired: bool = False


class BlockCommand(ControlMessage, frozen=True, kw_only=True, tag="block_user"):
    """Close the clients of a user, and let in no more of them for a while.

    Args:
        user: its name.
        until: seconds since 1970.
    """

    user: str
    until: float


ClientCommand = DisconnectCommand | UnsubscribeCommand | SubscribeCommand | RefreshCommand | BlockCommand
"""What is to be done with clients."""

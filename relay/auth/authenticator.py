"""Who a client is, and what it may do."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Protocol

from relay.channel import is_visible
from relay.errors import NotAllowed, Refused
from relay.protocols.request import ConnectRequest

MAX_USER_BYTES = 64


class Rights(Protocol):
    """What a client may do. Asked on the hot path: must answer at once."""

    def may_subscribe(self, channel: str) -> bool:
        """Return whether the client may get the messages of a channel."""

    def may_publish(self, channel: str) -> bool:
        """Return whether the client may send messages to a channel."""


class Everything:
    """The rights of a client that may do everything."""

    __slots__ = ()

    def may_subscribe(self, channel: str) -> bool:
        """Return True."""
        return True

    def may_publish(self, channel: str) -> bool:
        """Return True."""
        return True


EVERYTHING: Final = Everything()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is.

    Args:
        user: its name; None when it has none.
        rights: what it may do.
    """

    user: str | None
    rights: Rights = EVERYTHING


ANONYMOUS: Final = Identity(None)


class Authenticator(Protocol):
    """Tells who a client is."""

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return who sends a request, at once or after a wait, which the handshake timeout bounds.

        Raises:
            Refused: the request doesn't say who sends it, or says it wrongly.
        """


class NameInQuery:
    """Believes every client: it is called what `?user=NAME` says, a name for logs, and may do everything."""

    def identify(self, request: ConnectRequest) -> Identity:
        """Return who sends a request; see `Authenticator`.

        Raises:
            Refused: the name is not 1 to 64 bytes of UTF-8, all of it visible and without surrounding white space.
        """
        user = request.query.get("user")
        if user is None:
            return ANONYMOUS
        if not 1 <= len(user.encode()) <= MAX_USER_BYTES:
            raise Refused(400, f"user must have 1 to {MAX_USER_BYTES} bytes of UTF-8")
        if not is_visible(user):
            rule = "must not contain control characters, or others that are invisible or turn text around"
            raise Refused(400, f"user {rule}")
        if user != user.strip():
            raise Refused(400, "user must not begin or end with white space")
        return Identity(user)


def check_subscribe(identity: Identity, channel: str) -> None:
    """Raise `NotAllowed` when a client may not get the messages of a channel. Every way to subscribe asks here."""
    if not identity.rights.may_subscribe(channel):
        raise NotAllowed("subscribe to", channel)


def check_publish(identity: Identity, channel: str) -> None:
    """Raise `NotAllowed` when a client may not send messages to a channel. Every way to publish asks here."""
    if not identity.rights.may_publish(channel):
        raise NotAllowed("publish to", channel)

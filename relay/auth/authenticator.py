"""Identities of clients, their rights, and the authenticator, which tells them from a request."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Protocol, runtime_checkable

import msgspec

from relay.auth.server_side import ServerSide
from relay.channel import is_visible
from relay.errors import NotAllowed, RelayError
from relay.protocols.request import ConnectRequest

MAX_USER_BYTES: Final = 255
"""Of the name of a user, such as an e-mail address."""


class UserError(RelayError):
    """A name can't be that of a user.

    Args:
        rule: that it breaks; a sentence without its subject.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

    def __str__(self) -> str:
        return f"user {self.rule}"


class AuthenticatorError(RelayError):
    """An authenticator has answered what it must not.

    Args:
        rule: that it breaks; repeats nothing of a request.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

    def __str__(self) -> str:
        return self.rule


class Rights(Protocol):
    """What a client may do. Checked for each message: must return at once."""

    def may_subscribe(self, channel: str) -> bool:
        """Return whether the client may receive the messages of a channel.

        Where it keeps messages, these too: all that are kept since a position, so that a client can come back.
        """

    def may_publish(self, channel: str) -> bool:
        """Return whether the client may publish messages to a channel."""

    def may_read_history(self, channel: str) -> bool:
        """Return whether the client may ask for the newest messages of a channel without having been there."""

    def may_see_presence(self, channel: str) -> bool:
        """Return whether the client may know who is subscribed to a channel."""


class Everything:
    """The rights of a client that may do everything in all channels."""

    __slots__ = ()

    def may_subscribe(self, channel: str) -> bool:
        """Return True."""
        return True

    def may_publish(self, channel: str) -> bool:
        """Return True."""
        return True

    def may_read_history(self, channel: str) -> bool:
        """Return True."""
        return True

    def may_see_presence(self, channel: str) -> bool:
        """Return True."""
        return True


EVERYTHING: Final = Everything()


class Identity(msgspec.Struct, frozen=True):
    """Who a client is, and what it may do. One whose name or info can't be shown to others is not let in.

    Args:
        user: the name of its user, see `check_user`; None: anonymous.
        rights: what it may do.
        expires_at: when the client is to be disconnected, in seconds since 1970; None: never.
        info: JSON that presence will show of the client; None: nothing.
        server_side: what it is given when it connects; None: nothing, as most are.
        leeway: seconds of `expires_at` that are for clocks that differ: a client that can renew its right is told that
            it ends so much earlier.
    """

    user: str | None
    rights: Rights = EVERYTHING
    expires_at: float | None = None
    info: bytes | None = None
    server_side: ServerSide | None = None
    leeway: float = 0.0


ANONYMOUS: Final = Identity(None)


class Authenticator(Protocol):
    """Identifies clients by the requests with which they connect. A program can bring its own; see `Gateway`."""

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return the identity of the client that sends a request.

        Args:
            request: that opens a WebSocket, an event stream or a poll, or publishes a message.

        Returns:
            The identity, or an awaitable of it, which is cancelled after the handshake timeout.

        Raises:
            Refused: the request lacks valid credentials; its HTTP status is the answer.
        """


@runtime_checkable
class RemoteAuthenticator(Authenticator, Protocol):
    """An authenticator that asks other servers. Without all of these methods it is only asked to identify clients."""

    @property
    def notes(self) -> list[str]:
        """What an operator should know while the gateway is ready all the same, in words and without secrets."""

    async def open(self) -> None:
        """Get ready. Called before the gateway listens; it must not wait for another server."""

    async def run(self) -> None:
        """Do what is to be done in the background. Supervised: run again when it raises, and cancelled at the end."""

    async def close(self) -> None:
        """Close what `open` has opened. Called when no client is being identified any more."""


def check_user(name: str) -> str:
    """Return the name of a user when it is legal.

    Raises:
        UserError: it is empty, too long, or has invisible characters or outer white space.
    """
    if name.isascii() and name.isprintable() and " " not in name and 1 <= len(name) <= MAX_USER_BYTES:
        return name  # most names: each client of a gateway is looked at
    if not 1 <= len(name.encode(errors="replace")) <= MAX_USER_BYTES:
        raise UserError(f"must have 1 to {MAX_USER_BYTES} bytes of UTF-8")
    if not is_visible(name):
        raise UserError("must not contain control characters, or others that are invisible or turn text around")
    if name != name.strip():
        raise UserError("must not begin or end with white space")
    return name


def check_subscribe(identity: Identity, channel: str) -> None:
    """Raise `NotAllowed` when a client may not subscribe to a channel. Every way to subscribe calls this.

    A channel to which the server subscribes the client is allowed by that, whatever its rights say.
    """
    if identity.rights.may_subscribe(channel):
        return
    if identity.server_side is None or channel not in identity.server_side.subscriptions:
        raise NotAllowed("subscribe to", channel)


def check_publish(identity: Identity, channel: str) -> None:
    """Raise `NotAllowed` when a client may not publish to a channel. Every way of clients to publish calls this."""
    if not identity.rights.may_publish(channel):
        raise NotAllowed("publish to", channel)


def check_history(identity: Identity, channel: str) -> None:
    """Raise `NotAllowed` when a client may not ask for so many of the newest messages of a channel.

    Every way of clients to ask for them calls this. To go on after a position takes no more than the right to
    subscribe, else no client could come back; and nothing shows whether it was there. So this hides no message.
    """
    if not identity.rights.may_read_history(channel):
        raise NotAllowed("read the history of", channel)


def check_presence(identity: Identity, channel: str) -> None:
    """Raise `NotAllowed` when a client may not know who is on a channel. Every way of clients to ask calls this."""
    if not identity.rights.may_see_presence(channel):
        raise NotAllowed("see who is on", channel)

"""A client that has no socket of its own: it hears by one request after the other, and speaks by other ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from msgspec.structs import replace

from relay.brokers.shares import Share
from relay.clients.context import Context
from relay.clients.session import Session
from relay.errors import CustomDisconnect, Disconnect, PublishError
from relay.message import Encoder


class SocketlessClient(ABC):
    """What clients without sockets have in common; see `Subscriber`, `Connected` and `PausableSource`.

    Args:
        context: what all clients share.
        session: the client's.
    """

    __slots__ = ("_context", "session")

    share: ClassVar = Share.CLIENTS

    def __init__(self, context: Context, session: Session) -> None:
        self._context = context
        self.session = session

    @property
    def id(self) -> bytes:
        """See `Subscriber`."""
        return self.session.id

    @property
    def echo(self) -> bool:
        """See `Subscriber`; it sends nothing by itself."""
        return self.session.protocol.echo

    @property
    def encode(self) -> Encoder:
        """See `Subscriber`."""
        return self.session.protocol.encode

    @property
    @abstractmethod
    def buffered(self) -> int:
        """Bytes that wait for the client."""

    @property
    def takes_turns(self) -> bool:
        """See `Connected`; it has none."""
        return False

    def prepare_to_close(self) -> bool:
        """See `Connected`; what its client publishes comes by requests of their own."""
        return True

    @abstractmethod
    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End it; see `Connected`. Nothing happens when it has ended already."""

    def expire(self) -> None:
        """End it, as its right is over; see `Connected`."""
        self.close(Disconnect.TOKEN_EXPIRED)

    def refresh(self, expires_at: float | None) -> None:
        """Give it another end; see `Connected`."""
        self._context.registry.refresh(self, replace(self.session.identity, expires_at=expires_at))

    def abort(self) -> None:
        """See `Connected`; there is no socket to be dropped."""
        self.close(Disconnect.GOING_AWAY)

    def publish_failed(self, error: PublishError) -> None:  # noqa: B027  # nothing is to be done
        """See `Source`; it publishes nothing."""

    def pause_publishing(self) -> None:  # noqa: B027  # as above
        """See `PausableSource`."""

    def resume_publishing(self) -> None:  # noqa: B027  # as above
        """See `PausableSource`."""

"""What protocols have in common whose clients listen to one channel and say nothing: event streams and polls."""

from __future__ import annotations

from relay.errors import Disconnect, ProtocolError
from relay.message import Kind
from relay.protocols import PresenceFormat, Session
from relay.replay import Resume


class ListenOnly:
    """Base of such protocols; see `relay.protocols.ClientProtocol`.

    Args:
        channel: the one channel that the client listens to.
        resume: what it wants of the messages before.
    """

    __slots__ = ("channel", "resume")

    multiplexed = False
    echo = False
    presence: PresenceFormat | None = None

    def __init__(self, channel: str, resume: Resume = 0) -> None:
        self.channel = channel
        self.resume = resume

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Raise `ProtocolError`: the client has nothing to say."""
        raise ProtocolError(Disconnect.UNEXPECTED_DATA, "the client only listens")

    def unsubscribed(self, session: Session, channel: str) -> None:
        """Close the client: without its channel there is nothing left for it."""
        session.close(Disconnect.UNSUBSCRIBED)

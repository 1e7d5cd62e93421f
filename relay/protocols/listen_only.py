"""What protocols have in common whose clients listen to one channel and say nothing: event streams and polls."""

from __future__ import annotations

from relay.errors import Disconnect, ProtocolError
from relay.message import Encoder, Kind
from relay.position import Position
from relay.protocols import Session
from relay.replay import Replay, Resume


class ListenOnly:
    """Base of such protocols; see `relay.protocols.ClientProtocol`.

    Args:
        channel: the one channel that the client listens to.
    """

    __slots__ = ("channel",)

    encode: Encoder
    multiplexed = False
    echo = False
    resume: Resume = 0

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def resumed(self, session: Session, replay: Replay | None) -> bytes:
        """Return the messages before the live ones."""
        return b"" if replay is None else b"".join(map(self.encode, replay.messages))

    def missed(self, session: Session, channel: str, position: Position | None) -> bytes:
        """Return nothing."""
        return b""

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Raise `ProtocolError`: the client has nothing to say."""
        raise ProtocolError(Disconnect.UNEXPECTED_DATA, "the client only listens")

    def unsubscribed(self, session: Session, channel: str) -> None:
        """Close the client: without its channel there is nothing left for it."""
        session.close(Disconnect.UNSUBSCRIBED)

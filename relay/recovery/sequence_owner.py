"""What comes of the messages of one channel."""

from __future__ import annotations

from typing import Protocol

from relay.message import PositionedMessage


class SequenceOwner(Protocol):
    """What a sequence tells its owner. Calls are synchronous and must not raise."""

    def deliver(self, message: PositionedMessage) -> None:
        """Take the next message."""

    def missed(self) -> None:
        """Be told that subscribers have missed messages before the next one; the position is the one before that."""

    def incomplete(self) -> None:
        """Be told that the history has to be read, at least since the position."""

    def doubtful(self) -> None:
        """Be told that the messages up to the top can't be read, and may still come by themselves."""

    def complete(self) -> None:
        """Be told that the channel is LIVE, again or for the first time."""

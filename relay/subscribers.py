"""The subscribers of a channel as the hub sees them, and what writes to many of them at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from relay.message import Encoder
from relay.position import Position


class Subscriber(Protocol):
    """A receiver of the messages of channels."""

    @property
    def id(self) -> bytes:
        """16 bytes, unique over all gateways: the origin of the messages that it publishes."""

    @property
    def echo(self) -> bool:
        """Whether it receives its own messages."""

    @property
    def encode(self) -> Encoder:
        """Encoder of its wire format: one function object, the same for all subscribers of that format."""

    def deliver(self, data: bytes, count: int) -> None:
        """Write `count` encoded messages. Must not raise or block; may leave the hub during the call."""

    def missed(self, channel: str, position: Position | None) -> None:
        """Be told that messages of a channel may be missing, before any that follow. Must not raise or block.

        Args:
            channel: its name.
            position: after which it goes on; None: the messages of this channel have no positions.
        """


class Gatherer(Protocol):
    """A subscriber of several channels, which writes the messages of all of them in one tick together."""

    def write_gathered(self) -> None:
        """Write everything that was delivered since the last call. Must not raise or block."""


class Group(dict[bytes, Subscriber]):
    """The subscribers of a channel that have the same encoder, by id.

    Attributes:
        kept: what a `FanOut` has found out about them; None: nothing, or it no longer holds.
    """

    __slots__ = ("kept",)

    def __init__(self) -> None:
        super().__init__()
        self.kept: object = None

    def join(self, subscriber: Subscriber) -> None:
        """Add a subscriber."""
        self[subscriber.id] = subscriber
        self.kept = None

    def leave(self, subscriber: Subscriber) -> bool:
        """Remove a subscriber; return whether it was there."""
        self.kept = None
        return self.pop(subscriber.id, None) is not None


class FanOut(Protocol):
    """Writes the same bytes to many subscribers at once, past the hub.

    Attributes:
        least: subscribers of a group for which it is worth its cost; smaller ones are not given to it.
    """

    least: int

    def deliver(self, group: Group, data: bytes, without: Collection[Subscriber]) -> Collection[Subscriber]:
        """Write to the subscribers of a group that take it at once. Must not raise or block.

        Args:
            group: who is meant.
            data: what they get.
            without: those of them that do not get it.

        Returns:
            Those to which nothing was written, a copy: they have to be delivered to one by one. To all others it was
            written, or goes its way behind what their sockets have taken of it.
        """

    def gathers(self, group: Group) -> bool:
        """Return whether subscribers of a group are written to by `deliver_together` when several channels are busy."""

    def deliver_together(self, deliveries: Sequence[tuple[Group, bytes]]) -> tuple[list[Collection[Subscriber]], int]:
        """Write to each subscriber of groups what these have for it, in their order, and in one write.

        Args:
            deliveries: groups, none of them twice, and what each of them gets.

        Returns:
            For each delivery what `deliver` returns; and how many went out in one write with another one before them.
        """

    def close(self) -> None:
        """Let go of what it needs; it isn't used any more."""

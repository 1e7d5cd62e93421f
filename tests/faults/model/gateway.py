"""A gateway of the model: it hears the bus with some delay, has gaps, fills them or tells of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.faults.model.bus import BusChannel, Entry
from tests.faults.operations import Kind


@dataclass(frozen=True, slots=True)
class Told:
    """A session is told that it may have missed messages.

    Args:
        position: after which it goes on.
    """

    position: str | None


@dataclass(eq=False, slots=True)
class ModelSession:
    """A session, from the gateway's side.

    Args:
        name: of it.
        kind: how it is connected.
        channel: what it hears.
        queue: what is on its way to the client.
        closed_at: when a plain WebSocket is closed that can't be told otherwise.
    """

    name: str
    kind: Kind
    channel: BusChannel
    queue: deque[Entry | Told] = field(default_factory=deque)
    closed_at: float | None = None


class ModelGateway:
    """One gateway.

    Args:
        number: of it.
        channels: of the bus.

    Attributes:
        sessions: that are connected.
        deaf: whether it has a gap at the moment.
        heard: how far it has heard each channel: the place of the next one among its entries.
        positions: the same, as positions; the epoch is empty in a plain channel.
    """

    def __init__(self, number: int, channels: list[BusChannel]) -> None:
        self.number = number
        self.sessions: list[ModelSession] = []
        self.deaf = False
        self.heard = dict.fromkeys(channels, 0)
        self.positions = {channel: (channel.epoch, channel.offset) for channel in channels}

    def hear(self, channel: BusChannel, closed_at: float) -> bool:
        """Deliver the next message of a channel, if there is one; return whether there was.

        Args:
            channel: which.
            closed_at: when WebSockets are closed that can't be told what has to be told.
        """
        heard = self.heard[channel]
        if self.deaf or heard == len(channel.entries):
            return False
        entry = channel.entries[heard]
        if entry.epoch != self.positions[channel][0]:
            self.tell(channel, f"{entry.epoch}:{entry.offset - 1}", closed_at)
        self.heard[channel] += 1
        self.deliver(channel, entry)
        return True

    def hear_again(self, closed_at: float) -> None:
        """End a gap; see `hear`."""
        self.deaf = False
        for channel in self.heard:
            epoch, offset = self.positions[channel]
            self.heard[channel] = len(channel.entries)
            missed = channel.since(epoch, offset, channel.offset)
            if missed is None:
                # What the history of another epoch has beyond what was heard is delivered, though more may be missing.
                delivered = offset if epoch == channel.epoch else min(offset, channel.began)
                missed = channel.newest(channel.offset - delivered, channel.offset)
                begin = channel.offset - len(missed)
                self.tell(channel, f"{channel.epoch}:{begin}" if channel.epoch else None, closed_at)
                self.positions[channel] = channel.epoch, begin
            for entry in missed:
                self.deliver(channel, entry)

    def deliver(self, channel: BusChannel, entry: Entry) -> None:
        """Send a message to the sessions of a channel."""
        self.positions[channel] = entry.epoch, entry.offset
        for session in self.sessions:
            if session.channel is channel:
                session.queue.append(entry)

    def tell(self, channel: BusChannel, position: str | None, closed_at: float) -> None:
        """Tell the sessions of a channel that they may have missed messages."""
        for session in self.sessions:
            if session.channel is not channel:
                continue
            if session.kind != "websocket":
                session.queue.append(Told(position))
            elif session.closed_at is None:
                session.closed_at = closed_at

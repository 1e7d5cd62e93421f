"""Relays that don't keep their promises: the model, each with one bug of the kind that programs have."""

from __future__ import annotations

from tests.faults.judge import Rule
from tests.faults.model.bus import BusChannel, Entry
from tests.faults.model.gateway import ModelGateway
from tests.faults.operations import Published

EVERY = 20
"""How many times a thing goes well until it goes wrong, where that isn't always."""


class ReplayBeginsLate(BusChannel):
    """What a client gets that comes back begins one message too late."""

    def since(self, epoch: str, offset: int, end: int) -> list[Entry] | None:
        found = super().since(epoch, offset, end)
        return found[1:] if found else found


class ReplayBeginsEarly(BusChannel):
    """What a client gets that comes back begins with what it has."""

    def since(self, epoch: str, offset: int, end: int) -> list[Entry] | None:
        found = super().since(epoch, offset, end)
        return found and self.newest(len(found) + 1, end)


class PartOfReplay(BusChannel):
    """What is left of a history is given out for the whole."""

    def since(self, epoch: str, offset: int, end: int) -> list[Entry] | None:
        return self.newest(end - offset, end) if epoch and epoch == self.epoch else super().since(epoch, offset, end)


class EpochKept(BusChannel):
    """A failover begins no new epoch, and the offsets of what was lost are given out again."""

    def fail_over(self, lost: int) -> None:
        self.offset = max(0, self.offset - max(lost, 1)) if self.epoch else 0
        self._history = [entry for entry in self._history if entry.offset <= self.offset]


class AcknowledgedTooEarly(BusChannel):
    """Sometimes what was acknowledged never comes to the bus."""

    count = 0

    def publish(self, message: Published) -> Entry:
        self.count += 1
        return Entry(message) if self.count % EVERY == 0 else super().publish(message)


class GapNotRead(ModelGateway):
    """After a gap the gateway goes on with what comes, and reads nothing."""

    def hear_again(self, closed_at: float) -> None:
        self.deaf = False
        for channel in self.heard:
            self.heard[channel] = len(channel.entries)
            self.positions[channel] = channel.epoch, channel.offset


class NobodyTold(ModelGateway):
    """The gateway tells nobody of missed messages."""

    def tell(self, channel: BusChannel, position: str | None, closed_at: float) -> None:
        pass


class WebSocketsKept(ModelGateway):
    """The gateway closes no WebSocket that lacks messages."""

    def tell(self, channel: BusChannel, position: str | None, closed_at: float) -> None:
        super().tell(channel, position, closed_at)
        for session in self.sessions:
            session.closed_at = None


class ToldTooLate(ModelGateway):
    """The gateway sends one more message before it tells of those that are missing."""

    def tell(self, channel: BusChannel, position: str | None, closed_at: float) -> None:
        super().tell(channel, position, closed_at)
        self.late = channel

    late: BusChannel | None = None

    def deliver(self, channel: BusChannel, entry: Entry) -> None:
        super().deliver(channel, entry)
        if channel is self.late:
            self.late = None
            for session in self.sessions:
                if session.channel is channel and session.kind != "websocket" and len(session.queue) > 1:
                    session.queue[-1], session.queue[-2] = session.queue[-2], session.queue[-1]


class DeliveredTwice(ModelGateway):
    """Sometimes the gateway delivers a message twice."""

    def deliver(self, channel: BusChannel, entry: Entry) -> None:
        super().deliver(channel, entry)
        if self.heard[channel] % EVERY == 0:
            super().deliver(channel, entry)


class Overtaken(ModelGateway):
    """Sometimes the gateway delivers a message before the one that came before it."""

    def deliver(self, channel: BusChannel, entry: Entry) -> None:
        super().deliver(channel, entry)
        if self.heard[channel] % EVERY == 0:
            for session in self.sessions:
                queue = session.queue
                if session.channel is channel and len(queue) > 1 and all(isinstance(word, Entry) for word in queue):
                    queue[-1], queue[-2] = queue[-2], queue[-1]


class DroppedForOne(ModelGateway):
    """Sometimes the gateway forgets the newest of its clients when it delivers."""

    def deliver(self, channel: BusChannel, entry: Entry) -> None:
        super().deliver(channel, entry)
        if self.heard[channel] % EVERY == 0 and self.sessions and self.sessions[-1].queue:
            self.sessions[-1].queue.pop()


BUGS: dict[type[BusChannel | ModelGateway], Rule] = {
    ReplayBeginsLate: Rule.ONCE,
    ReplayBeginsEarly: Rule.ONCE,
    PartOfReplay: Rule.ONCE,
    EpochKept: Rule.ORDER,
    AcknowledgedTooEarly: Rule.TOLD,
    GapNotRead: Rule.TOLD,
    NobodyTold: Rule.TOLD,
    WebSocketsKept: Rule.TOLD,
    ToldTooLate: Rule.TOLD,
    DeliveredTwice: Rule.ONCE,
    Overtaken: Rule.ORDER,
    DroppedForOne: Rule.TOLD,
}
"""All bugs, and a rule that each breaks."""

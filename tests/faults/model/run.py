"""A random run of the model: who publishes, who listens and comes back, which faults there are."""

from __future__ import annotations

from random import Random
from typing import Final

from tests.faults.model.bus import BusChannel
from tests.faults.model.clients import ModelPublisher, ModelSubscriber
from tests.faults.model.gateway import ModelGateway
from tests.faults.operations import (
    AnyOperation,
    Fault,
    Finished,
    History,
    Keeps,
    Kind,
    Leftover,
    Present,
    Readiness,
    Setup,
)

GAP_SECONDS: Final = 2.0
CHANNELS: Final[dict[str, Keeps]] = {"h": "history", "o": "positions", "x": "plain"}
KINDS: Final[tuple[Kind, ...]] = ("websocket", "events", "polls", "centrifuge")


class ModelRun:
    """One run. `history` is right, and void only if it is short.

    Args:
        seed: chooses all of it.
        steps: how long it is.
        channel: makes the channels of the bus.
        gateway: makes the gateways.

    Attributes:
        history: what was recorded.
        now: seconds.
        random: all choices come from it.
        gateways: of the relay.
    """

    def __init__(
        self,
        seed: int,
        steps: int,
        *,
        channel: type[BusChannel] = BusChannel,
        gateway: type[ModelGateway] = ModelGateway,
    ) -> None:
        self.random = Random(seed)
        self.now = 100.0
        self._forgotten = 0.0
        self._deaf_since: dict[ModelGateway, float] = {}
        self.history: History = []
        self.channels = [channel(name, keeps) for name, keeps in CHANNELS.items()]
        self.gateways = [gateway(number, self.channels) for number in range(3)]
        self.record(Setup(at=self.now, seed=seed, channels=CHANNELS, gateways=3, gap_seconds=GAP_SECONDS))
        self._subscribers = [
            ModelSubscriber(f"{kind}-{channel.name}-{number}", kind, channel, self)
            for channel in self.channels
            for kind in KINDS
            for number in range(2)
        ]
        self._publishers = [
            ModelPublisher(f"p{number}-{channel.name}", channel, self)
            for channel in self.channels
            for number in range(2)
        ]
        for _ in range(steps):
            self._step()
        self._finish()

    def record(self, operation: AnyOperation) -> None:
        """Note what has happened."""
        self.history.append(operation)

    def may_forget(self, since: float) -> bool:
        """Tell whether the bus has lost something since some time."""
        return self._forgotten >= since

    def _step(self) -> None:
        """Let some things happen."""
        draw = self.random
        self.now += draw.random() * 0.02
        if draw.random() < 0.4:
            draw.choice(self._publishers).go_on()
        for gateway in self.gateways:
            if draw.random() < 0.7:
                gateway.hear(draw.choice(self.channels), self.now + draw.random() * GAP_SECONDS)
        for _ in range(5):
            draw.choice(self._subscribers).go_on()
        if draw.random() < 0.01:
            self._inject()
        if draw.random() < 0.05:
            self._probe()
        for subscriber in self._subscribers:
            subscriber.close_if_due()

    def _inject(self) -> None:
        """Begin or end a gap, or let the bus forget."""
        gateway = self.random.choice(self.gateways)
        if gateway.deaf:
            self._heal(gateway)
        elif self.random.random() < 0.7:
            gateway.deaf = True
            self._deaf_since[gateway] = self.now
        else:
            self._forget()

    def _forget(self) -> None:
        """Let the bus lose all that it keeps, or the newest of it in a failover to a replica that lags."""
        kind, lost = self.random.choice([("flushed", None), ("failover", 0), ("failover", 3)])
        self._forgotten = self.now
        for channel in self.channels:
            if lost is None:
                channel.forget()
            else:
                channel.fail_over(self.random.randint(0, lost))
        self.record(Fault(at=self.now, kind=kind, detail=f"{lost} lost", ended=self.now, forgets=True))

    def _heal(self, gateway: ModelGateway) -> None:
        """End a gap of a gateway."""
        gateway.hear_again(self.now + self.random.random() * GAP_SECONDS)
        began = self._deaf_since.pop(gateway)
        self.record(Fault(at=began, kind="link cut", detail=f"gateway {gateway.number}", ended=self.now))

    def _probe(self) -> None:
        for gateway in self.gateways:
            passing = None if self.random.random() < 0.2 else not gateway.deaf
            self.record(Readiness(at=self.now, gateway=gateway.number, ready=not gateway.deaf, passing=passing))

    def _finish(self) -> None:
        """Let all come to rest."""
        for gateway in self.gateways:
            if gateway.deaf:
                self._heal(gateway)
        for publisher in self._publishers:
            publisher.finish()
        for _ in range(3):
            self._settle()
            self.now += GAP_SECONDS + 0.1
        self._probe()
        self.now += 10.0
        self._probe()
        self.record(Finished(at=self.now))
        for channel in self.channels:
            users = tuple(subscriber.name for subscriber in self._subscribers if subscriber.channel is channel)
            self.record(Present(at=self.now, channel=channel.name, users=users, expected=users))
        for gateway in self.gateways:
            self.record(Leftover(at=self.now, gateway=gateway.number, what="tasks", before=9, after=9))

    def _settle(self) -> None:
        """Deliver all, close all that are to be closed, and let all come back."""
        for gateway in self.gateways:
            for channel in self.channels:
                while gateway.hear(channel, self.now):
                    pass
        for subscriber in self._subscribers:
            subscriber.settle()

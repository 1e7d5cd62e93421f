"""The clients of the model: publishers who are told the truth, subscribers who come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.model.bus import BusChannel, Entry
from tests.faults.model.gateway import ModelGateway, ModelSession, Told
from tests.faults.operations import Acknowledged, Ended, Kind, Published, Received, Refused, Subscribed, ToldMissed

if TYPE_CHECKING:
    from tests.faults.model.run import ModelRun


class ModelPublisher:
    """Publishes one message after the other, with and without idempotency keys.

    Args:
        name: of it.
        channel: where.
        run: of which it is a part.
    """

    def __init__(self, name: str, channel: BusChannel, run: ModelRun) -> None:
        self._name = name
        self._channel = channel
        self._run = run
        self._count = 0
        self._pending: Published | None = None
        self._entry: Entry | None = None
        # Without an outcome, and perhaps still on their way.
        self._late: list[Published] = []

    def go_on(self) -> None:
        """Do the next thing."""
        draw = self._run.random
        if self._late and draw.random() < 0.3:
            self._channel.publish(self._late.pop())
        elif self._pending is None:
            self._begin()
        elif self._entry is None and draw.random() < 0.8:
            self._entry = self._channel.publish(self._pending)
        else:
            self._end()

    def finish(self) -> None:
        """Publish a last message, and wait for its outcome."""
        if self._pending is not None:
            self._end()
        self._begin()
        assert self._pending is not None
        self._entry = self._channel.publish(self._pending)
        self._acknowledge(self._pending, self._entry)

    def _begin(self) -> None:
        self._count += 1
        label, keyed = f"{self._name}|{self._count}", self._run.random.random() < 0.3
        self._pending = Published(
            at=self._run.now,
            message=label,
            publisher=self._name,
            channel=self._channel.name,
            digest=f"#{label}",
            keyed=keyed,
        )
        self._entry = None
        self._run.record(self._pending)

    def _end(self) -> None:
        """Tell the truth of a message, or nothing."""
        draw, run = self._run.random, self._run
        message, entry, self._pending = self._pending, self._entry, None
        assert message is not None
        if draw.random() < 0.1:
            if entry is None:
                self._late.append(message)
        elif entry is None:
            run.record(Refused(at=run.now, message=message.message))
        else:
            if message.keyed and run.may_forget(message.at) and draw.random() < 0.5:
                entry = self._channel.publish(message)  # a second try, and the first one is forgotten
            self._acknowledge(message, entry)

    def _acknowledge(self, message: Published, entry: Entry) -> None:
        self._pending = None
        self._run.record(Acknowledged(at=self._run.now, message=message.message, position=entry.position))


class ModelSubscriber:
    """Hears a channel, breaks off, and comes back where it was.

    Args:
        name: of it.
        kind: how it is connected.
        channel: what it hears.
        run: of which it is a part.
    """

    def __init__(self, name: str, kind: Kind, channel: BusChannel, run: ModelRun) -> None:
        self.name = name
        self.channel = channel
        self._kind = kind
        self._run = run
        self._count = 0
        self._session: ModelSession | None = None
        self._gateway = run.gateways[0]
        self._position: str | None = None

    def go_on(self) -> None:
        """Do the next thing."""
        draw = self._run.random
        if self._session is None:
            self._connect(draw.choice(self._run.gateways))
        elif draw.random() < 0.02:
            self._end(None)
        elif self._session.queue:
            self._take(self._session, self._session.queue.popleft())

    def close_if_due(self) -> None:
        """Note that the relay has closed the session, if it has."""
        session = self._session
        if session is not None and session.closed_at is not None and session.closed_at <= self._run.now:
            self._drain(session)
            self._end(1012)

    def settle(self) -> None:
        """Take all that is on its way, and be there."""
        if self._session is not None:
            self._drain(self._session)
        if self._session is not None and self._session.closed_at is not None:
            self._end(1012)
        if self._session is None:
            self._connect(self._run.random.choice(self._run.gateways))

    def _drain(self, session: ModelSession) -> None:
        while session.queue and self._session is session:
            self._take(session, session.queue.popleft())

    def _connect(self, gateway: ModelGateway) -> None:
        if gateway.deaf:
            return
        channel, since = self.channel, self._position if self._resumes else None
        epoch, offset = gateway.positions[channel]
        position, missed = f"{epoch}:{offset}" if epoch else None, None
        if since is not None:
            old_epoch, _, old_offset = since.rpartition(":")
            missed = channel.since(old_epoch, int(old_offset), offset) if old_epoch == epoch else None
        self._count += 1
        name = f"{self.name}/{self._count}"
        self._session, self._gateway = ModelSession(name, self._kind, channel), gateway
        gateway.sessions.append(self._session)
        self._run.record(
            Subscribed(
                at=self._run.now,
                session=name,
                subscriber=self.name,
                kind=self._kind,
                channel=channel.name,
                since=since,
                recovered=None if since is None else missed is not None,
                position=position if since is not None or self._kind == "centrifuge" else None,
                gateway=gateway.number,
            )
        )
        if since is None and epoch == channel.epoch and self._kind != "centrifuge" and self._run.random.random() < 0.5:
            missed = channel.newest(5, offset)  # what is asked for with `?history=5`
        self._session.queue.extend(missed or ())
        if missed is None and self._kind != "websocket":
            self._position = position

    @property
    def _resumes(self) -> bool:
        """Whether it asks to go on where it was: official Centrifuge clients do where there is a history."""
        if self._kind == "centrifuge":
            return self.channel.keeps == "history"
        return self._kind != "websocket"

    def _take(self, session: ModelSession, word: Entry | Told) -> None:
        run = self._run
        if isinstance(word, Told) and self._kind == "centrifuge":
            self._end(2500)
            return
        if isinstance(word, Told):
            self._position = word.position
            run.record(ToldMissed(at=run.now, session=session.name, position=word.position))
            return
        position = None if self._kind == "websocket" else word.position
        self._position = position
        message = word.message
        run.record(
            Received(
                at=run.now, session=session.name, message=message.message, digest=message.digest, position=position
            )
        )

    def _end(self, code: int | None) -> None:
        assert self._session is not None
        self._gateway.sessions.remove(self._session)
        self._run.record(Ended(at=self._run.now, session=self._session.name, code=code))
        self._session = None

"""A channel on a bus with all its faults, a gateway's sequence of it, and clients that check what they get."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from relay.brokers.history import HistoryPage
from relay.message import PositionedMessage
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.reading import Extent, Reading
from relay.recovery.ring import MESSAGE_BYTES, Budget
from relay.recovery.sequence import Sequence, State
from relay.replay import Resume


class Bus:
    """What the channel's messages really were, what the history has of them, and what is on its way to the gateway.

    Args:
        size: messages that the history keeps.
        says_began: whether readings say where an epoch began; older gateways didn't write it down.

    Attributes:
        top: position of the newest message.
        history: what is kept, the oldest first.
        link: live messages on their way, the oldest first.
        truth: payload of each position that was ever given out.
        damaged: whether messages were trimmed early, or an epoch has ended.
        lost: offsets of live messages that will never arrive, with their epochs.
        stale: what a server still answers that was the primary before.
    """

    def __init__(self, size: int, *, says_began: bool = True) -> None:
        self._size = size
        self._says_began = says_began
        self._epochs = 1
        self._count = 0
        self.top = Position("e1", 0)
        self.history: deque[PositionedMessage] = deque()
        self.link: deque[PositionedMessage] = deque()
        self.truth: dict[Position, bytes] = {}
        self.damaged = False
        self.lost: set[Position] = set()
        self.stale: tuple[Position, list[PositionedMessage], Position] | None = None
        self._began = Position("", 0)

    def publish(self) -> None:
        """Give a message its position, keep it, and send it to the gateway."""
        self._count += 1
        self.top = Position(self.top.epoch, self.top.offset + 1)
        message = positioned(self.top, b"%d" % self._count)
        self.truth[self.top] = message.payload
        self.link.append(message)
        if self._size:
            self.history.append(message)
            self.trim(len(self.history) - self._size)

    def trim(self, count: int) -> None:
        """Forget the oldest messages of the history."""
        for _ in range(min(count, len(self.history))):
            self.history.popleft()

    def flush(self) -> None:
        """Lose everything: another epoch begins from nothing."""
        self.stale = self.top, list(self.history), self._began
        self._begin_epoch(Position("", 0))
        self.history.clear()

    def fail_over(self, lost: int) -> None:
        """Go on at a server that has not got the newest messages; its history stays."""
        self.stale = self.top, list(self.history), self._began
        for _ in range(min(lost, len(self.history))):
            self.history.pop()
        self._begin_epoch(Position(self.top.epoch, max(0, self.top.offset - lost)))
        again = [positioned(Position(self.top.epoch, old.position.offset), old.payload) for old in self.history]
        self.history = deque(again)
        self.truth.update({message.position: message.payload for message in again})

    def restore(self, copy: tuple[Position, list[PositionedMessage]]) -> None:
        """Go on at a server that has brought back an old copy: a position, and the history up to it."""
        top, history = copy
        self._begin_epoch(top)
        self.history = deque(positioned(Position(self.top.epoch, m.position.offset), m.payload) for m in history)
        self.truth.update({message.position: message.payload for message in self.history})

    def lose(self) -> None:
        """Lose the next live message."""
        if self.link:
            self.lost.add(self.link.popleft().position)

    def page(self, since: int | None, *, stale: bool = False) -> HistoryPage:
        """Return what a reading gives; see `Reading.since`.

        Args:
            since: see there.
            stale: it comes from the server that was the primary before, if there was one.
        """
        now = self.top, list(self.history), self._began
        top, history, where = self.stale if stale and self.stale is not None else now
        began = where if self._says_began else None
        if since is None:
            return HistoryPage(top, began=began)
        return HistoryPage(top, [message for message in history if message.position.offset > since], began)

    def _begin_epoch(self, began: Position) -> None:
        self.damaged = True
        self._epochs += 1
        self._began = began
        self.top = Position(f"e{self._epochs}", began.offset)


def positioned(position: Position, payload: bytes, channel: str = "c") -> PositionedMessage:
    """Return a message of the channel."""
    return PositionedMessage(channel, payload, position=position)


@dataclass
class Client:
    """A client that came with something to resume; checks all that it is given.

    Args:
        truth: payload of each position.
        resume: what it wants.
        honest: whether it was told that position.
        reading: what was read for it.
        position: where it is; None: it has not joined.
        told: how often it was told that it has missed something.
        got: how many messages it got.
        payloads: theirs; those that it got after it was told, too.
    """

    truth: dict[Position, bytes]
    resume: Resume
    honest: bool
    reading: Reading | None = None
    position: Position | None = None
    recovered: bool = True
    told: int = 0
    got: int = 0
    seen: set[Position] = field(default_factory=set)
    payloads: set[bytes] = field(default_factory=set)

    def take(self, message: PositionedMessage) -> None:
        """Check that it is the very next message."""
        assert self.position is not None
        assert message.position == Position(self.position.epoch, self.position.offset + 1)
        assert message.payload == self.truth[message.position]
        assert message.position not in self.seen
        self.seen.add(message.position)
        self.payloads.add(message.payload)
        self.position = message.position
        self.got += 1

    def missed(self, position: Position) -> None:
        """Be told where it goes on."""
        self.told += 1
        if self.position is not None and self.position.epoch != position.epoch:
            self.seen.clear()  # a server that is behind can bring an epoch back
        self.position = position


class Gateway:
    """Owns a sequence, as `ChannelRecovery` does, and reads when the test says so.

    Args:
        bus: see above.
        options: of the channel.
        room: messages that the ring has room for, and as many that are kept.

    Attributes:
        clients: those that have joined.
        waiting: those that wait for a reading, or until they may join.
        asked: those whose reading is under way.
        told: how often clients were told that they have missed messages.
        doubts: whether messages are awaited that can't be read.
    """

    def __init__(self, bus: Bus, options: ChannelOptions, room: int) -> None:
        self._bus = bus
        self.counters = Counters()
        rings, kept = (Budget(room * (MESSAGE_BYTES + 3)) for _ in range(2))
        self.sequence = Sequence(options, rings, kept, self.counters, self)
        self.clients: list[Client] = []
        self.waiting: list[Client] = []
        self.asked: list[Client] = []
        self.told = 0
        self.doubts = False
        self._wanted: Extent | None = Extent.TOP
        self._since: int | None = None
        self._page: HistoryPage | None = None
        self._reading = False
        self._outdated = False
        # The last message that was heard, and how often clients had been told by then; epochs that were left.
        self._newest: tuple[Position, int] | None = None
        self._epoch = ""
        self._left: set[str] = set()

    # What the sequence tells.

    def deliver(self, message: PositionedMessage) -> None:
        for client in self.clients:
            client.take(message)

    def missed(self) -> None:
        self.told += 1
        for client in self.clients:
            client.missed(self.sequence.position)

    def incomplete(self) -> None:
        self._outdated = self._reading
        self._want(Extent.SINCE)

    def doubtful(self) -> None:
        self.doubts = True

    def complete(self) -> None:
        self.doubts = False
        assert self.sequence.state is State.LIVE

    # What the test does.

    def hear(self) -> None:
        """Take the next live message."""
        if self._bus.link:
            message = self._bus.link.popleft()
            self.sequence.receive(message)
            if message.position.epoch not in self._left:
                self._newest = message.position, self.told

    def check(self) -> None:
        """No message that was heard has been dropped in silence."""
        sequence = self.sequence
        now = sequence.position
        if self._epoch not in ("", now.epoch):
            self._left.add(self._epoch)
        self._epoch = now.epoch
        if sequence.state is not State.LIVE or self._newest is None:
            return
        position, told = self._newest
        if position.epoch == self._bus.top.epoch and self.told == told:
            assert now.epoch == position.epoch
            assert now.offset >= position.offset

    def gap(self) -> None:
        """Lose all that is on its way, and be told."""
        while self._bus.link:
            self._bus.lose()
        self._outdated = self._reading
        self.sequence.gap()
        if self.sequence.state is State.FILLING:
            self._want(Extent.SINCE)

    def look(self) -> None:
        """Look whether there are messages that have not come."""
        if self.sequence.state is State.LIVE:
            self._want(Extent.TOP)

    def begin(self) -> None:
        """Begin a reading."""
        if self._wanted is None or self._reading:
            return
        extent, self._wanted = self._wanted, None
        if self.sequence.state is State.FILLING:
            extent = max(extent, Extent.SINCE)
        self._reading, self._outdated, self._page = True, False, None
        self.asked += self.waiting
        self.waiting = []
        self._extent = extent
        self._since = self.sequence.read(extent)

    def answer(self, *, stale: bool = False) -> None:
        """Let the bus answer it; the answer is on its way then."""
        if self._reading and self._page is None:
            self._page = self._bus.page(self._since, stale=stale)

    def answer_stale(self) -> None:
        """Let a server answer it that was the primary before."""
        self.answer(stale=True)

    def fail(self) -> None:
        """Let it fail."""
        if self._reading:
            self._reading = False
            self._want(self._extent)

    def arrive(self) -> None:
        """Take the answer."""
        if not self._reading or self._page is None:
            return
        self._reading = False
        if self._outdated:
            self._want(self._extent)
            return
        reading = Reading(self._page, self._since)
        self.sequence.merge(reading)
        asked, self.asked = self.asked, []
        for client in asked:
            client.reading = reading
            self.waiting.append(client)

    def give_up(self) -> None:
        """Wait no longer."""
        self.sequence.give_up()

    def come(self, resume: Resume, *, honest: bool) -> None:
        """Let a client come that wants to resume."""
        self.waiting.append(Client(self._bus.truth, resume, honest))

    def join(self) -> None:
        """Let those join who lack nothing; the others wait for a reading."""
        if self.sequence.state is not State.LIVE:
            return
        waiting, self.waiting = self.waiting, []
        for client in waiting:
            lacking = self.sequence.lacks(client.resume, client.reading)
            if lacking is None:
                self._add(client)
            else:
                self.waiting.append(client)
                self._want(lacking)

    def _add(self, client: Client) -> None:
        replay = self.sequence.replay(client.resume, client.reading)
        client.recovered = replay.recovered
        assert replay.position == self.sequence.position
        if isinstance(client.resume, Position) and replay.recovered:
            client.position = client.resume
        elif replay.messages:
            first = replay.messages[0].position
            client.position = Position(first.epoch, first.offset - 1)
        else:
            client.position = replay.position
        for message in replay.messages:
            client.take(message)
        assert client.position == replay.position, "a part as if it were the whole"
        if isinstance(client.resume, int):
            assert len(replay.messages) <= client.resume
        self.clients.append(client)

    def _want(self, extent: Extent) -> None:
        self._wanted = extent if self._wanted is None else max(extent, self._wanted)

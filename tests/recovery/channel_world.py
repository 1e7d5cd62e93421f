"""A channel on a bus with all its faults, a gateway's sequence of it, and clients that check what they get."""

from __future__ import annotations

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
from tests.recovery.channel_bus import Bus


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

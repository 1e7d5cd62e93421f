"""A bus with the history of one channel."""

from __future__ import annotations

from collections import deque

from relay.brokers.history import HistoryPage
from relay.message import PositionedMessage
from relay.position import Position


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

"""The bus of the model: one order in each channel, and positions where they are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tests.faults.operations import Keeps, Published

KEPT: Final = 12
"""How many messages the history of a channel has."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message on the bus.

    Args:
        message: how it was published.
        epoch: of its position; empty: the channel has none.
        offset: likewise; 0.
    """

    message: Published
    epoch: str = ""
    offset: int = 0

    @property
    def position(self) -> str | None:
        """Its position, as text."""
        return f"{self.epoch}:{self.offset}" if self.epoch else None


class BusChannel:
    """One channel.

    Args:
        name: of it.
        keeps: what is kept of it.

    Attributes:
        entries: all that was ever published, in its order.
        epoch: the present one; empty: the channel has no positions.
        offset: of the newest message in it.
        began: the offset at which the epoch began: what is kept of the one before has the same offsets in it.
    """

    def __init__(self, name: str, keeps: Keeps) -> None:
        self.name = name
        self.keeps = keeps
        self.entries: list[Entry] = []
        self.epoch = ""
        self.offset = self.began = 0
        self._epochs = 0
        self._history: list[Entry] = []
        self.forget()

    @property
    def position(self) -> str | None:
        """The position of the newest message."""
        return f"{self.epoch}:{self.offset}" if self.epoch else None

    def publish(self, message: Published) -> Entry:
        """Append a message."""
        if self.epoch:
            self.offset += 1
        entry = Entry(message, self.epoch, self.offset)
        self.entries.append(entry)
        if self.keeps == "history":
            self._history = [*self._history, entry][-KEPT:]
        return entry

    def forget(self) -> None:
        """Begin a new epoch, with nothing in it."""
        if self.keeps != "plain":
            self._epochs += 1
            self.epoch, self.offset, self.began = f"{self.name}e{self._epochs}", 0, 0
            self._history = []

    def fail_over(self, lost: int) -> None:
        """Begin a new epoch with what is kept of the old one, without the newest messages.

        Args:
            lost: how many of them the replica had not got.
        """
        if self.keeps != "plain":
            self._epochs += 1
            self.epoch, self.offset = f"{self.name}e{self._epochs}", max(0, self.offset - lost)
            self.began = self.offset
            self._history = [replace(entry, epoch=self.epoch) for entry in self._history if entry.offset <= self.offset]

    def since(self, epoch: str, offset: int, end: int) -> list[Entry] | None:
        """Return the messages after a position, up to an offset; None: that can't be done.

        A position is good in its own epoch, and as long as all is kept that came after it.
        """
        if not epoch or epoch != self.epoch or offset > end:
            return None
        found = self.newest(end - offset, end)
        return found if len(found) == end - offset else None

    def newest(self, count: int, end: int) -> list[Entry]:
        """Return the newest messages that are kept, up to an offset."""
        return [entry for entry in self._history if end - count < entry.offset <= end]

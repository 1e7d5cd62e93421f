"""The bus of the model: one order in each channel, and positions where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
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
        entries: all that was ever published.
        epoch: the present one; empty: the channel has no positions.
        offset: of the newest message in it.
    """

    def __init__(self, name: str, keeps: Keeps) -> None:
        self.name = name
        self.keeps = keeps
        self.entries: list[Entry] = []
        self._epochs = 0
        self.epoch = ""
        self.offset = 0
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
        return entry

    def forget(self) -> None:
        """Begin a new epoch, with nothing in it."""
        if self.keeps != "plain":
            self._epochs += 1
            self.epoch, self.offset = f"{self.name}e{self._epochs}", 0

    def since(self, epoch: str, offset: int, end: int) -> list[Entry] | None:
        """Return the messages after a position, up to a place among all entries; None: that can't be done.

        A position is good in its own epoch, and as long as what came after it is kept.
        """
        if not epoch or epoch != self.epoch:
            return None
        found = [entry for entry in self.entries[:end] if entry.epoch == epoch and entry.offset > offset]
        return found if len(found) <= (KEPT if self.keeps == "history" else 0) else None

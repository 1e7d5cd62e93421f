"""What must not happen to a message. Moments are seconds since the run's start."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct, field


class Fault(Enum):
    """What must not happen to a message."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    FOREIGN = "foreign"
    """A message of another run, channel or publisher, or one that was changed on the way."""
    UNEXPECTED = "unexpected"
    """A frame without a message that no --ignore-frame explains."""


class Incident(Struct, frozen=True, kw_only=True):
    """One of the first faults, for people.

    Args:
        moment: when it was noticed.
        client: number of the receiving connection.
        url: of its server.
        channel: name; empty when unknown.
        publisher: number; None when unknown.
        first: sequence number of the first message concerned; None when unknown.
        last: of the last one.
        text: whatever else helps, such as the first bytes of a foreign frame.
    """

    fault: Fault
    moment: float
    client: int
    url: str
    channel: str = ""
    publisher: int | None = None
    first: int | None = None
    last: int | None = None
    text: str = ""


class Faults(Struct, kw_only=True):
    """Counts of everything that must not happen, whole run, and of what explains itself.

    Args:
        lost: deliveries that never came though the receiver was connected.
        unsent: messages that were due but that the server would not take until the end of the drain.
        closed: connections that the server ended, by cause (such as "1001 going away" or "reset").
        returned: the same of clients that came back by themselves, as they were told to; not a fault.
        refused: connections that could not be made, by cause.
        missed: deliveries that a receiver could not get because it was not connected; not a fault.
        slow_closed: clients that stopped reading on purpose and were closed for it, by cause; not a fault.
        incidents: the first few faults.
    """

    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    foreign: int = 0
    unexpected: int = 0
    unsent: int = 0
    closed: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    slow_closed: dict[str, int] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether something happened that must not."""
        counts = (self.lost, self.duplicated, self.reordered, self.foreign, self.unexpected, self.unsent)
        return any(counts) or bool(self.closed) or bool(self.refused)

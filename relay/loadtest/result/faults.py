"""Published faults: what must not happen to a message or a connection. Moments are seconds since the run's start."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct, field


class Fault(Enum):
    """What must not happen to a message on its way to a receiver."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    FOREIGN = "foreign"
    """A message of another run, channel or publisher, or one that was altered on the way."""
    UNEXPECTED = "unexpected"
    """A frame without a message that no --ignore-frame explains."""


class Incident(Struct, frozen=True, kw_only=True):
    """One of the first faults of a run, in detail.

    Args:
        fault: what happened.
        moment: when it was noticed.
        client: number of the receiving connection.
        url: URL of its server.
        channel: name of the channel; empty when unknown.
        publisher: number of the publisher; None when unknown.
        first: sequence number of the first message concerned; None when unknown.
        last: sequence number of the last message concerned; None when unknown.
        text: further details, such as the first bytes of a foreign frame.
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
    """Counts of all faults of a run, and of what looks like a fault but has an explanation.

    Args:
        lost: deliveries that never came although the receiver was connected, or had resumed and was not told.
        duplicated: deliveries that came more than once.
        reordered: deliveries that came after a later message of the same publisher.
        foreign: messages of another run, channel or publisher, or altered ones.
        unexpected: frames without a message that no --ignore-frame explains.
        unsent: messages that were due but that the server did not take before the drain was over.
        closed: connections that the server closed, by cause (such as "1001 going away" or "reset").
        returned: closed connections whose clients reconnected as the plan says, by cause; not a fault.
        refused: connections that could not be made, by cause.
        missed: deliveries that a receiver could not get because it was not connected; not a fault.
        told: deliveries that a receiver which resumes did not get, and was told so (`missed`); not a fault, but a loss.
        slow_closed: clients that stopped reading on purpose and were closed for it, by cause; not a fault.
        incidents: the first few faults in detail.
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
    told: int = 0
    slow_closed: dict[str, int] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether there is any fault; explained counts are none."""
        counts = (self.lost, self.duplicated, self.reordered, self.foreign, self.unexpected, self.unsent)
        return any(counts) or bool(self.closed) or bool(self.refused)

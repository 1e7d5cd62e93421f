"""What one server reached in one measure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .tally import Tally

UNDISTURBED = 0.05  # share of the time that any of them may have been held up


@dataclass
class Reading:
    """A value, how clean the deliveries were, and who was how busy meanwhile."""

    value: float  # in the measure's own unit
    tally: Tally
    client_cpu: float  # share of one core, 0 to 1
    server_cpu: float  # share of one core, 0 to 1
    redis_cpu: float  # share of one core, 0 to 1
    # shares of the time, 0 to 1:
    server_waiting: float  # in which the server was ready but had no core
    redis_waiting: float  # the same of Redis
    stolen: float  # in which the host ran something else instead of this machine
    stalled: float = 0.0  # by which the clients were late
    flaw: str = ""  # why the value does not count
    details: dict[str, float] = field(default_factory=dict)

    @property
    def disturbances(self) -> dict[str, float]:
        """Return what was held up by others, and the share of the time."""
        shares = {
            "the server": self.server_waiting,
            "Redis": self.redis_waiting,
            "the clients": self.stalled,
            "the whole machine": self.stolen,
        }
        return {who: share for who, share in shares.items() if share > UNDISTURBED}

    @property
    def disturbed(self) -> bool:
        """Whether others held up the server, Redis, the clients or the machine."""
        return bool(self.disturbances)

    def without(self, *names: str) -> Reading:
        """Return the reading without some of its details."""
        details = {name: value for name, value in self.details.items() if name not in names}
        return replace(self, details=details)


def median(readings: list[Reading]) -> Reading:
    """Return the round with the median value, with the tallies of all rounds.

    Disturbed rounds count only when all were: a server that is held up, or whose clients or
    Redis are, finds more to do at once afterwards, and looks cheaper than it is.
    """
    candidates = [reading for reading in readings if not reading.disturbed] or readings
    middle = statistics.median_low([reading.value for reading in candidates])
    chosen = next(reading for reading in candidates if reading.value == middle)
    values = {f"round_{i}": reading.value for i, reading in enumerate(readings, 1)}
    return replace(chosen, tally=total(readings), details=chosen.details | values)


def total(readings: Iterable[Reading]) -> Tally:
    """Return the sum of the tallies."""
    result = Tally()
    for reading in readings:
        result += reading.tally
    return result

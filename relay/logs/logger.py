"""The logger that all parts of a gateway use, and the limit of its entries."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import structlog

from relay.logs.cleaning import clean
from relay.logs.rate import INTERVAL_SECONDS, EntryKind, LogRate
from relay.redaction import escape_controls


class EntryLimiter:
    """Limits the entries of one process, from all of its threads; see `LogRate`.

    Args:
        rate: counts the entries; None: with the usual limits.
        clock: returns the time in seconds, and never goes back.
    """

    def __init__(self, rate: LogRate | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = LogRate() if rate is None else rate
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def left_out_total(self) -> int:
        """Number of entries that were left out."""
        return self._rate.left_out_total

    def admit(self, kind: EntryKind) -> bool:
        """Return whether an entry may be written."""
        with self._lock:
            return self._rate.admit(kind, self._clock())

    def ended(self) -> list[tuple[EntryKind, int]]:
        """Return how many entries were left out, by kind, in intervals that are over; each number is returned once."""
        with self._lock:
            return self._rate.ended(self._clock())


limiter = EntryLimiter()
"""That of this process. Tests put a fresh one in its place."""


class Threshold:
    """The least level that this process writes, once `relay.logs.setup` has set it: structlog is asked for no other.

    Attributes:
        level: as a number of the standard library.
    """

    __slots__ = ("level",)

    def __init__(self) -> None:
        self.level = logging.NOTSET


threshold = Threshold()
"""That of this process."""


class Logger:
    """What the parts of a gateway log with.

    In a program that has configured structlog, as `relay serve` does, entries go to structlog. In any other program
    structlog would print them to standard output; there they go to the standard library's logger of the same name, as
    the entries of any library do.

    Above the level debug only the first entries of one event are written in an interval, and then one line tells how
    many were left out. So `event` names a kind of entry, and what differs between two entries belongs into fields.

    Args:
        name: of the logger, such as `relay.gateway`.
    """

    __slots__ = ("_name", "_standard", "_structured")

    def __init__(self, name: str) -> None:
        self._name = name
        self._structured = structlog.get_logger(name)
        self._standard = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """Log a detail that only helps to find a fault."""
        self.write(logging.DEBUG, event, fields)  # without a limit, see `admit`

    def info(self, event: str, **fields: object) -> None:
        """Log a step in the life of a gateway."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what an operator should look at some time."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what an operator should look at now."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log a fault of the program, with the traceback of the exception that is being handled."""
        self._log(logging.ERROR, event, {**fields, "exc_info": True})

    def write(self, level: int, event: str, fields: dict[str, object]) -> None:
        """Log without a limit: for entries about the log itself.

        Args:
            level: as a number of the standard library.
            event: as for the other methods.
            fields: as for the other methods.
        """
        if structlog.is_configured():
            if level >= threshold.level:  # to be told by structlog that nothing is written takes 5 µs
                self._structured.log(level, event, **fields)
        elif self._standard.isEnabledFor(level):
            trace = bool(fields.pop("exc_info", False))
            pairs = [f"{key}={escape_controls(str(clean(value)))}" for key, value in fields.items()]
            self._standard.log(level, "%s", " ".join([event, *pairs]), exc_info=trace)

    def _log(self, level: int, event: str, fields: dict[str, object]) -> None:
        if admit(EntryKind(self._name, level, event)):
            self.write(level, event, fields)


def admit(kind: EntryKind) -> bool:
    """Return whether an entry may be written. First it logs how many were left out before, if an interval is over."""
    if kind.level <= logging.DEBUG:
        return True
    log_left_out()
    return limiter.admit(kind)


def left_out_entries() -> int:
    """Return how many entries of this process were left out."""
    return limiter.left_out_total


def log_left_out() -> None:
    """Log how many entries were left out in intervals that are over."""
    for kind, left_out in limiter.ended():
        fields: dict[str, object] = {"of": kind.event, "entries": left_out, "seconds": INTERVAL_SECONDS}
        Logger(kind.logger).write(kind.level, "log entries left out", fields)

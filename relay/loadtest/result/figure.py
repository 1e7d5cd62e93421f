"""The named figures of a result, which --fail-if can limit: how each is read, parsed and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.loadtest.result.result import Percentiles, Process, Result, Step
from relay.loadtest.units.formatting import count, duration, share, size
from relay.loadtest.units.parsing import parse_bytes, parse_duration, parse_quantity, parse_rate, parse_unit_duration


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a figure.

    Args:
        parse: returns the number that a text means; raises `QuantityError` when it means none.
        show: returns a number as text, with at most the given number of significant digits.
    """

    parse: Callable[[str], float]
    show: Callable[[float, int], str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a result.

    Args:
        unit: seconds, bytes, percent and so on.
        read: returns the number in that unit; None when the run has no such figure.
        absence: why a run may have none.
    """

    unit: Unit
    read: Callable[[Result], float | None]
    absence: str = ""


def _parse_count(text: str) -> float:
    return parse_quantity(text, {"": 1.0}, "a number, such as 0")


def _parse_percent(text: str) -> float:
    return parse_quantity(text, {"%": 1.0, "": 1.0}, "a percentage, such as 99.9%")


_TIME: Final = Unit(parse_unit_duration, duration)
_SECONDS: Final = Unit(parse_duration, duration)
_COUNT: Final = Unit(_parse_count, count)
_RATE: Final = Unit(parse_rate, lambda value, most: f"{count(value, most)}/s")
_PERCENT: Final = Unit(_parse_percent, lambda value, most: share(value / 100, most))
_BYTES: Final = Unit(parse_bytes, size)

_NO_DELIVERY: Final = "no delivery was measured"
_NO_SERVER: Final = "no server was watched from before the ramp to the end (--pid)"

_PERCENTILES: Final = {"p50": "p50", "p90": "p90", "p99": "p99", "p99.9": "p99_9", "p99.99": "p99_99", "max": "max"}


def _distribution(
    prefix: str, names: dict[str, str], find: Callable[[Result], Percentiles | None], absence: str
) -> dict[str, Figure]:
    """Return the figures of a distribution; an empty distribution has none."""

    def value(field: str) -> Callable[[Result], float | None]:
        def read(result: Result) -> float | None:
            spread = find(result)
            return None if spread is None or not spread.count else getattr(spread, field)

        return read

    return {prefix + name: Figure(_TIME, value(field), absence) for name, field in names.items()}


def _of_headline(find: Callable[[Step], Percentiles]) -> Callable[[Result], Percentiles | None]:
    return lambda result: None if result.headline is None else find(result.headline)


def _achieved(result: Result) -> float | None:
    step = result.headline
    return None if step is None or not step.offered else 100 * step.sent / step.offered


def _connect_rate(result: Result) -> float | None:
    return result.connects.rate if result.connects.seconds else None


def _of_processes(
    find: Callable[[Process], float | None], join: Callable[[list[float]], float]
) -> Callable[[Result], float | None]:
    """Return a reader that joins a figure of all processes; None when a process lacks it."""

    def read(result: Result) -> float | None:
        values = [find(process) for process in result.processes]
        known = [value for value in values if value is not None]
        return join(known) if known and len(known) == len(values) else None

    return read


def _of_faults(name: str) -> Figure:
    def read(result: Result) -> float | None:
        found = getattr(result.faults, name)
        return float(sum(found.values()) if isinstance(found, dict) else found)

    return Figure(_COUNT, read)


_FAULTS: Final = (
    "lost",
    "missed",
    "told",
    "duplicated",
    "reordered",
    "foreign",
    "unexpected",
    "unsent",
    "closed",
    "refused",
)

FIGURES: Final[dict[str, Figure]] = {
    **_distribution("", _PERCENTILES | {"mean": "mean"}, _of_headline(lambda step: step.latency), _NO_DELIVERY),
    **_distribution(
        "sent_", _PERCENTILES | {"mean": "mean"}, _of_headline(lambda step: step.latency_sent), _NO_DELIVERY
    ),
    **_distribution("connect_", _PERCENTILES, lambda result: result.connects.handshake, "no connection was made"),
    "connect_rate": Figure(_RATE, _connect_rate, "fewer than two connections were made"),
    "delivery_rate": Figure(_RATE, lambda result: result.delivery_rate),
    "achieved": Figure(_PERCENT, _achieved, "no message was due"),
    **{name: _of_faults(name) for name in _FAULTS},
    "resumed": Figure(
        _COUNT,
        lambda result: None if result.resumption is None else float(result.resumption.resumed),
        "clients were not to resume (--resume)",
    ),
    "cpu_per_delivery": Figure(_TIME, _of_processes(lambda process: process.cpu_per_delivery, sum), _NO_SERVER),
    "rss_per_connection": Figure(_BYTES, _of_processes(lambda process: process.rss_per_connection, max), _NO_SERVER),
    "storm_seconds": Figure(
        _SECONDS,
        lambda result: None if result.storm is None else result.storm.seconds,
        "there was no storm, or not all clients came back",
    ),
}
"""Name → figure.

Latencies are those of the measured step, or of a sweep's best kept step. They count from the moment when a message was
due, or, with the prefix "sent_", from the moment when it was sent. "connect_" is the time to connect. "achieved" is the
share of the due messages that were sent in time. CPU is the sum over the servers, memory that of the largest one.
"""

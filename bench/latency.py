"""Latencies from the moment when a message was due to its arrival."""

from __future__ import annotations

from array import array

from .fleet import Fleet
from .tally import Parsed, parse


def latencies(fleet: Fleet, references: dict[int, Parsed]) -> list[int]:
    """Return the latencies of the sampled subscribers after the warm-up, in ns, sorted.

    Args:
        fleet: after its run.
        references: the messages of each channel, by the id() of its reference stream.
    """
    found: list[int] = []
    for subscriber, positions, times in fleet.arrivals.values():
        parsed = references[id(subscriber.reference)]
        if subscriber.differs:
            parsed = parse(subscriber.data(), subscriber.format)
        found += delays(parsed, positions, times, fleet.start, fleet.measured)
    return sorted(found)


def delays(parsed: Parsed, positions: array[int], times: array[int], start: int, measured: int) -> list[int]:
    """Return the latencies of one stream in ns.

    Args:
        parsed: the stream's messages.
        positions: offsets in bytes up to which the stream had arrived.
        times: when each position was reached, in ns.
        start: of the schedule, in ns.
        measured: messages due earlier than this, in ns after the start, are left out.
    """
    found: list[int] = []
    step = 0
    for due, end in zip(parsed.due, parsed.ends, strict=True):
        while step < len(positions) and positions[step] < end:
            step += 1
        if step == len(positions):
            break
        if due >= measured:
            found.append(times[step] - start - due)
    return found


def percentile(values: list[int], share: float) -> float:
    """Return a percentile of sorted values; share is between 0 and 1."""
    return float(values[min(len(values) - 1, int(len(values) * share))]) if values else 0.0

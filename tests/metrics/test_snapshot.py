"""Numbers of several processes, added up."""

from __future__ import annotations

import dataclasses
import pickle
from collections import Counter

from relay.metrics.counters import Counters, Histogram
from relay.metrics.snapshot import Gauges, Snapshot


def test_totals_and_amounts_are_summed() -> None:
    one = Snapshot(Counters(fanned_out=2, connections_open=5), Gauges(channels=3, client_buffer_bytes=10))
    one.add(Snapshot(Counters(fanned_out=40, connections_open=1), Gauges(channels=4, client_buffer_bytes=1)))
    assert (one.counters.deliveries, one.counters.connections_open) == (42, 6)
    assert (one.gauges.channels, one.gauges.client_buffer_bytes, one.gauges.processes) == (7, 11, 2)


def test_the_worst_process_speaks_for_all() -> None:
    """One that isn't ready, drains or is cut off from the bus is not outvoted; the slowest round trip counts."""
    one = Snapshot(Counters(bus_round_trip_seconds=0.5), Gauges(ready=1, bus_up=1, bus_links={"a": 1, "b": 1}))
    one.gauges.started_at = 100.0
    other = Snapshot(Counters(bus_round_trip_seconds=0.1), Gauges(draining=1, bus_links={"a": 0, "b": 1}))
    other.gauges.started_at = 200.0
    for first, second in ((one, other), (other, one)):
        whole = pickle.loads(pickle.dumps(first))
        whole.add(second)
        assert whole.counters.bus_round_trip_seconds == 0.5
        assert (whole.gauges.ready, whole.gauges.draining, whole.gauges.bus_up) == (0, 1, 0)
        assert whole.gauges.bus_links == {"a": 0, "b": 1}
        assert whole.gauges.started_at == 100.0


def test_what_is_added_stays_as_it_is() -> None:
    whole, part = Snapshot(), Snapshot(Counters(disconnects=Counter(GOING_AWAY=1)), Gauges(bus_links={"a": 1}))
    before = pickle.dumps(part)
    whole.add(part)
    whole.add(part)
    whole.gauges.bus_links["a"] = 7
    assert pickle.dumps(part) == before
    assert whole.counters.disconnects["GOING_AWAY"] == 2


def test_adding_misses_no_field() -> None:
    """A process that has done nothing changes nothing; twice the same is twice as much, or the same."""
    one = Snapshot()
    for part in (one.counters, one.gauges):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, Histogram):
                value.observe(0.2)
            elif isinstance(value, Counter):
                value["x"] += 3
            elif not isinstance(value, dict):
                setattr(part, field.name, 3)
    twice = pickle.loads(pickle.dumps(one))
    twice.add(one)
    for mine, theirs in ((one.counters, twice.counters), (one.gauges, twice.gauges)):
        for field in dataclasses.fields(mine):
            before, after = getattr(mine, field.name), getattr(theirs, field.name)
            if isinstance(before, Histogram):
                assert (after.count, after.seconds) == (2, 0.4)
            elif isinstance(before, Counter):
                assert after == {"x": 6}
            elif not isinstance(before, dict):
                assert after == (3 if field.metadata else 6), field.name

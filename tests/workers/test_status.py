"""Many processes as one."""

from __future__ import annotations

import dataclasses

from relay.metrics.counters import Counters
from relay.metrics.snapshot import Gauges, Snapshot
from relay.workers.messages import State
from relay.workers.status import Ended, make_whole, name_problems


def state(*problems: str, accepted: int = 0, connected: int = 0) -> State:
    """Return what a worker says."""
    counters = Counters(connections_accepted=accepted, connections_open=connected, bus_round_trip_seconds=0.5)
    return State(list(problems), Snapshot(counters, Gauges(ready=int(not problems), cpu_seconds=2.0)))


def test_numbers_are_added_up() -> None:
    states = {1: state(accepted=5, connected=2), 2: state(accepted=7, connected=3)}
    whole = make_whole(states, set(), Ended())
    assert whole.problems == []
    counters, gauges = whole.snapshot.counters, whole.snapshot.gauges
    assert (counters.connections_accepted, counters.connections_open) == (12, 5)
    assert (gauges.ready, gauges.processes, gauges.silent_processes, gauges.cpu_seconds) == (1, 2, 0, 4.0)
    assert states[1].snapshot.counters.connections_accepted == 5, "what was heard stays as it was"


def test_totals_keep_what_ended_processes_have_counted() -> None:
    """Prometheus takes a total that goes down for a restart."""
    ended = Ended()
    last = state(accepted=5, connected=2).snapshot
    ended.add(last)
    assert last.counters.connections_open == 2
    for states in ({1: None}, {1: state(accepted=1, connected=1)}):
        whole = make_whole(states, set(), ended)
        counters = whole.snapshot.counters
        fresh = 0 if states[1] is None else 1
        assert counters.connections_accepted == 5 + fresh
        assert counters.connections_open == fresh
        # Its clients are gone without a closing handshake.
        assert counters.connections_closed[1006] == 2
        assert whole.snapshot.gauges.cpu_seconds == 2.0 + 2.0 * fresh
        assert whole.snapshot.gauges.processes == fresh
    assert make_whole({1: None}, set(), ended).snapshot.counters.bus_round_trip_seconds == 0


def test_nobody_is_connected_to_a_process_that_has_ended() -> None:
    """Whatever kind of client it was: it would be shown for ever."""
    kinds = [field.name for field in dataclasses.fields(Counters) if field.name.endswith("_open")]
    assert len(kinds) == 3
    last, ended = Snapshot(), Ended()
    for kind in kinds:
        setattr(last.counters, kind, 2)
    ended.add(last)
    assert [getattr(ended.counters, kind) for kind in kinds] == [0, 0, 0]


def test_the_gateway_has_started_when_its_supervisor_has() -> None:
    """Whichever workers run: a replaced one, or none yet, is no restart of the gateway."""
    early, late = state(), state()
    early.snapshot.gauges.started_at, late.snapshot.gauges.started_at = 1001.0, 1002.0
    for states in ({1: early, 2: late}, {1: None, 2: late}, {1: None, 2: None}):
        assert make_whole(states, set(), Ended(1000.0)).snapshot.gauges.started_at == 1000.0


def test_a_silent_worker_still_has_its_clients() -> None:
    whole = make_whole({1: state(connected=2), 2: state(connected=3)}, {2}, Ended())
    assert whole.problems == ["worker 2: it does not answer"]
    assert whole.snapshot.counters.connections_open == 5
    gauges = whole.snapshot.gauges
    assert (gauges.ready, gauges.processes, gauges.silent_processes) == (0, 2, 1)


def test_workers_on_different_servers_are_told_apart() -> None:
    """Each is ready by itself, and none of them hears the others."""
    states = {number: state() for number in (1, 2, 3)}
    for number, run_id in ((1, "f00ba4" * 4), (2, "c0ffee" * 4), (3, "f00ba4" * 4)):
        states[number].snapshot.gauges.bus_servers = {run_id: 1}
    whole = make_whole(states, set(), Ended())
    assert whole.problems == ["workers use different Redis servers (by run id): 1, 3 on f00ba4f0; 2 on c0ffeec0"]
    assert whole.snapshot.gauges.ready == 0
    assert whole.snapshot.gauges.bus_servers == {"f00ba4" * 4: 2, "c0ffee" * 4: 1}
    states[2].snapshot.gauges.bus_servers = {}
    assert make_whole(states, set(), Ended()).problems == [], "one that can't tell is no reason"


def test_one_that_is_not_there_is_named() -> None:
    whole = make_whole({1: state(), 2: None, 3: None}, {3}, Ended())
    assert whole.problems == ["worker 2: it is not running", "worker 3: it does not answer"]
    assert whole.snapshot.gauges.ready == 0


def test_what_all_have_is_said_once() -> None:
    problems = {1: ["draining"], 2: ["draining"], 3: ["draining", "bus away"]}
    assert name_problems(problems) == ["draining", "worker 3: bus away"]
    assert name_problems({1: ["slow"], 2: [], 3: ["slow"]}) == ["workers 1, 3: slow"]
    assert name_problems({1: [], 2: []}) == []

"""The status of all workers combined."""

from __future__ import annotations

import dataclasses
from collections import Counter

from relay.metrics.counters import Counters
from relay.metrics.snapshot import Gauges, Snapshot
from relay.workers.messages import WorkerStatus
from relay.workers.status import EndedProcesses, combine, name_workers


def status(*problems: str, accepted: int = 0, connected: int = 0) -> WorkerStatus:
    """Return the status of a worker."""
    counters = Counters(connections_accepted=accepted, connections_open=connected, bus_round_trip_seconds=0.5)
    return WorkerStatus(list(problems), Snapshot(counters, Gauges(ready=int(not problems), cpu_seconds=2.0)))


def test_numbers_are_added_up() -> None:
    statuses = {1: status(accepted=5, connected=2), 2: status(accepted=7, connected=3)}
    combined = combine(statuses, set(), EndedProcesses())
    assert combined.problems == []
    counters, gauges = combined.snapshot.counters, combined.snapshot.gauges
    assert (counters.connections_accepted, counters.connections_open) == (12, 5)
    assert (gauges.ready, gauges.processes, gauges.silent_processes, gauges.cpu_seconds) == (1, 2, 0, 4.0)
    assert statuses[1].snapshot.counters.connections_accepted == 5, "the status of a worker is not changed"


def test_totals_keep_what_ended_processes_have_counted() -> None:
    """Prometheus takes a total that goes down for a restart."""
    ended = EndedProcesses()
    last = status(accepted=5, connected=2).snapshot
    ended.add(last)
    assert last.counters.connections_open == 2
    for statuses in ({1: None}, {1: status(accepted=1, connected=1)}):
        combined = combine(statuses, set(), ended)
        counters = combined.snapshot.counters
        fresh = 0 if statuses[1] is None else 1
        assert counters.connections_accepted == 5 + fresh
        assert counters.connections_open == fresh
        # Its clients were cut off without a closing handshake.
        assert counters.connections_closed[1006] == 2
        assert combined.snapshot.gauges.cpu_seconds == 2.0 + 2.0 * fresh
        assert combined.snapshot.gauges.processes == fresh
    assert combine({1: None}, set(), ended).snapshot.counters.bus_round_trip_seconds == 0


def test_no_client_is_connected_to_a_process_that_has_ended() -> None:
    """Of no kind: it would be counted as open for ever."""
    kinds = [field.name for field in dataclasses.fields(Counters) if field.name.endswith("_open")]
    assert len(kinds) == 4
    last, ended = Snapshot(), EndedProcesses()
    for kind in kinds:
        setattr(last.counters, kind, Counter(sse=2) if kind == "transports_open" else 2)
    ended.add(last)
    assert [getattr(ended.counters, kind) for kind in kinds] == [0, 0, 0, Counter()]


def test_the_gateway_has_started_when_its_supervisor_has() -> None:
    """Whichever workers run: a worker that was replaced, or doesn't run yet, is no restart of the gateway."""
    early, late = status(), status()
    early.snapshot.gauges.started_at, late.snapshot.gauges.started_at = 1001.0, 1002.0
    for statuses in ({1: early, 2: late}, {1: None, 2: late}, {1: None, 2: None}):
        assert combine(statuses, set(), EndedProcesses(1000.0)).snapshot.gauges.started_at == 1000.0


def test_an_unresponsive_worker_still_has_its_clients() -> None:
    combined = combine({1: status(connected=2), 2: status(connected=3)}, {2}, EndedProcesses())
    assert combined.problems == ["worker 2: it does not answer"]
    assert combined.snapshot.counters.connections_open == 5
    gauges = combined.snapshot.gauges
    assert (gauges.ready, gauges.processes, gauges.silent_processes) == (0, 2, 1)


def test_workers_on_different_servers_are_a_problem() -> None:
    """Each is ready by itself, and none of them hears the others."""
    statuses = {number: status() for number in (1, 2, 3)}
    for number, run_id in ((1, "f00ba4" * 4), (2, "c0ffee" * 4), (3, "f00ba4" * 4)):
        statuses[number].snapshot.gauges.bus_servers = {run_id: 1}
    combined = combine(statuses, set(), EndedProcesses())
    assert combined.problems == ["workers use different Redis servers (by run id): 1, 3 on f00ba4f0; 2 on c0ffeec0"]
    assert combined.snapshot.gauges.ready == 0
    assert combined.snapshot.gauges.bus_servers == {"f00ba4" * 4: 2, "c0ffee" * 4: 1}
    statuses[2].snapshot.gauges.bus_servers = {}
    assert combine(statuses, set(), EndedProcesses()).problems == [], (
        "a worker that doesn't know its server is no reason"
    )


def test_a_worker_that_does_not_run_is_named() -> None:
    combined = combine({1: status(), 2: None, 3: None}, {3}, EndedProcesses())
    assert combined.problems == ["worker 2: it is not running", "worker 3: it does not answer"]
    assert combined.snapshot.gauges.ready == 0


def test_a_problem_of_all_workers_is_named_once() -> None:
    problems = {1: ["draining"], 2: ["draining"], 3: ["draining", "bus away"]}
    assert name_workers(problems) == ["draining", "worker 3: bus away"]
    assert name_workers({1: ["slow"], 2: [], 3: ["slow"]}) == ["workers 1, 3: slow"]
    assert name_workers({1: [], 2: []}) == []


def test_notes_are_named_as_problems_are_and_keep_nobody_away() -> None:
    statuses = {number: status() for number in (1, 2)}
    statuses[1].notes.append("the keys are old")
    combined = combine({**statuses, 3: None}, set(), EndedProcesses())
    assert combined.notes == ["worker 1: the keys are old"]
    assert combined.problems == ["worker 3: it is not running"]
    statuses[2].notes.append("the keys are old")
    combined = combine(statuses, set(), EndedProcesses())
    assert (combined.notes, combined.problems) == (["the keys are old"], [])
    assert combined.snapshot.gauges.ready == 1


def test_an_issuer_is_up_when_it_is_for_all_workers() -> None:
    """And the oldest keys count. What a worker knew that has ended counts no more."""
    statuses = {number: status() for number in (1, 2)}
    for number, up, at in ((1, 1, 2000.0), (2, 0, 1000.0)):
        statuses[number].snapshot.counters.issuer_up = {"login.example": up}
        statuses[number].snapshot.counters.issuer_keys_at = {"login.example": at}
    ended = EndedProcesses()
    ended.add(statuses[2].snapshot)
    counters = combine(statuses, set(), ended).snapshot.counters
    assert (counters.issuer_up, counters.issuer_keys_at) == ({"login.example": 0}, {"login.example": 1000.0})
    counters = combine({1: statuses[1], 2: None}, set(), ended).snapshot.counters
    assert (counters.issuer_up, counters.issuer_keys_at) == ({"login.example": 1}, {"login.example": 2000.0})

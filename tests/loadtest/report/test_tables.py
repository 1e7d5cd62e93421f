"""Figures as texts."""

from __future__ import annotations

from relay.loadtest.report import tables as figures
from relay.loadtest.result.faults import Fault, Faults, Incident
from relay.loadtest.result.result import Resumption
from relay.loadtest.units.formatting import NO_VALUE
from tests.loadtest.report.results import bad, good, idle, nothing, storm, sweep


def test_the_headline_has_the_figures_that_people_ask_for_first() -> None:
    """None of them is bad in a good run."""
    shown = {tile.name: f"{tile.value}, {tile.note}" for tile in figures.tiles(good())}
    assert shown == {
        "p50": "1.20 ms, half of all came sooner",
        "p99": "2.01 ms, 1 in 100 took longer",
        "Max": "7.20 ms, the slowest of all",
        "Deliveries/s": "200 012, over 30 s",
        "Lost": "0, of 6 000 000 deliveries",
        "Connections": "5 020, of 5 020: 5 000 clients, 20 publishers",
    }
    assert not any(tile.bad for tile in figures.tiles(good()))


def test_bad_figures_stand_out() -> None:
    """Losses, and connections that were not made."""
    assert [tile.name for tile in figures.tiles(bad()) if tile.bad] == ["Lost", "Connections"]


def test_figures_that_do_not_exist_are_left_open() -> None:
    """A run without messages has no latency, not one of 0."""
    for result in (idle(), nothing()):
        assert [tile.value for tile in figures.tiles(result)[:3]] == [NO_VALUE] * 3
    assert set(figures.lags(idle()).rows[0][1:-1]) == {NO_VALUE}


def test_a_sweep_says_at_which_rate_its_figures_were_taken() -> None:
    """The best one that was kept."""
    tile = figures.tiles(sweep([100.0, 200.0, 300.0], kept=2))[3]
    assert tile.note == "at 200 messages/s, the best rate that was kept"


def test_each_fault_has_its_count_and_meaning_and_each_cause_its_number() -> None:
    """The most frequent cause first."""
    rows = {row.name: row for row in figures.faults(bad())}
    counts = {name: row.number for name, row in rows.items()}
    assert counts == {
        "lost": 12_318,
        "duplicated": 41,
        "reordered": 7,
        "foreign": 1,
        "unexpected": 3,
        "unsent": 212,
        "closed": 51,
        "refused": 132,
    }
    assert rows["closed"].meaning == "connections that the server ended: 1001 going away (48), reset (3)"
    assert figures.faults(good())[-1].meaning == "connections that could not be made"


def test_what_is_no_fault_is_explained() -> None:
    """Deliveries to nobody, clients that came back, and slow clients that were closed."""
    faults = Faults(missed=1, returned={"1001": 2}, slow_closed={"1008 too slow": 3, "reset": 1})
    assert figures.explained(good(faults=faults)) == [
        "1 delivery missed by receivers that were not connected at that time.",
        "2 closed clients came back as told: 1001 (2).",
        "4 clients closed for having stopped reading on purpose: 1008 too slow (3), reset (1).",
    ]
    assert figures.explained(good()) == []


def test_what_was_told_is_explained() -> None:
    """And who came back is counted."""
    assert figures.explained(good(faults=Faults(told=3))) == [
        "3 deliveries missed by clients that came back where they were, and told to them."
    ]
    assert dict(figures.resumption(Resumption(events=1, polls=2, resumed=1234, notices=4))) == {
        "Event streams": "1",
        "Polling clients": "2",
        "Sessions that went on where they were": "1 234",
        "Notices that messages were missed": "4",
    }


def test_an_incident_says_who_what_and_when() -> None:
    """And leaves open what is unknown."""
    known = Incident(
        fault=Fault.LOST, moment=12.5, client=7, url="ws://a", channel="b", publisher=0, first=3, last=9, text="t"
    )
    unknown = Incident(fault=Fault.UNEXPECTED, moment=1.0, client=8, url="ws://a", first=4, last=4)
    rows = [list(row) for row in figures.incidents(good(faults=Faults(incidents=[known, unknown]))).rows]
    assert rows[0] == ["lost", "12.5 s", "7", "ws://a", "b", "0", "3\N{EN DASH}9", "t"]
    assert rows[1] == ["unexpected", "1 s", "8", "ws://a", NO_VALUE, NO_VALUE, "4", NO_VALUE]


def test_latencies_are_those_since_due_and_since_sent() -> None:
    """With all named percentiles."""
    result = good()
    assert result.headline is not None
    table = figures.latencies(result.headline)
    assert table.columns == ("", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean", "values")
    assert [row[0] for row in table.rows] == ["since due", "since sent"]


def test_each_rate_of_a_sweep_has_its_outcome() -> None:
    """Kept, the knee, or why it was too much."""
    result = sweep([100.0, 200.0, 300.0], kept=2)
    rows = figures.steps(result).rows
    assert [row[-1] for row in rows] == ["kept", "knee", result.steps[2].broken]
    assert [row[-2] for row in rows] == ["0", "0", "450"]
    assert figures.steps(idle()).rows[0][2:6] == (NO_VALUE,) * 4


def test_a_step_of_no_length_has_no_rate() -> None:
    """Nothing is divided by it."""
    result = sweep([100.0, 200.0])
    result.steps[:] = [
        type(step)(**{f: getattr(step, f) for f in step.__struct_fields__} | {"seconds": 0.0}) for step in result.steps
    ]
    assert [row[1] for row in figures.steps(result).rows] == [NO_VALUE] * 2


def test_servers_tell_what_they_spent() -> None:
    """Per delivery and per connection; Redis only when it was looked at."""
    assert list(figures.processes(good()).rows[0][:5]) == [
        "gateway 1",
        "4001",
        "3.40 µs",
        "21.0 µs/s",
        "11.4 KB",
    ]
    assert [text for _, text in figures.redis(good())] == [
        "redis://127.0.0.1:6379/0",
        "8.10 %",
        "2 004",
        "40.5 µs",
    ]
    assert figures.redis(idle()) == []


def test_a_storm_tells_when_all_were_back() -> None:
    """Or that not all were."""
    for back, text in ((3.4, "3.40 s"), (None, "not all came back")):
        result = storm(back=back)
        assert result.storm is not None
        assert figures.storm(result.storm)[-1][1] == text
    assert [row[0] for row in figures.handshakes(result).rows] == ["ramp", "storm"]
    assert [row[0] for row in figures.handshakes(good()).rows] == ["ramp"]


def test_the_ramp_tells_its_rate() -> None:
    """But none of a ramp without length."""
    assert dict(figures.ramp(nothing()))["Connects/s"] == NO_VALUE
    assert dict(figures.ramp(good()))["Connects/s"] == "1 046"
    assert dict(figures.generator(good()))["Worker processes"] == "3"

"""The summary has all figures in it, and nothing that a server could have slipped in."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console, RenderableType

from relay.loadtest.report.summary import describe, summary
from relay.loadtest.result.faults import Fault, Faults, Incident
from relay.loadtest.result.result import (
    Connects,
    Generator,
    Percentiles,
    Process,
    RedisUse,
    Result,
    Resumption,
    Sample,
    Storm,
)
from tests.loadtest.sample_results import make_result, make_step


def shown(what: RenderableType, width: int = 120) -> str:
    """Return what a console shows, its blank space collapsed line by line."""
    console = Console(file=StringIO(), record=True, width=width, color_system=None)
    console.print(what)
    return "\n".join(" ".join(line.split()) for line in console.export_text().splitlines())


def summary_of(**given: object) -> str:
    """Return the summary of a result; `given` replaces fields."""
    return shown(summary(make_result(**given)))


@pytest.mark.parametrize("width", [80, 120])
def test_a_summary_has_the_figures(width: int) -> None:
    text = shown(summary(make_result()), width)
    assert "latency 10.0 ms 20.0 ms 61.0 ms 100 ms 200 ms 300 ms 10.0 ms" in text
    assert "since sent 9.00 ms" in text
    assert "connecting 2.00 ms 3.00 ms 4.00 ms" in text
    assert "connections 11 of 11, 22.0/s" in text or "connections 11 of 11, 22/s" in text
    assert "messages 99 of 100 sent in time, 100/s" in text
    assert "deliveries 1 000 of 1 000, 1 000/s" in text
    assert "faults 0 lost, 0 duplicated, 0 out of order, 0 foreign, 0 unexpected" in text
    assert "load test 1 worker" in text
    assert text.rstrip().splitlines()[-1].startswith("Passed.")


def test_a_failed_run_says_why() -> None:
    text = summary_of(verdict=["2 deliveries lost", "p99 was [bold]too much"])
    assert "Failed: 2 deliveries lost\nFailed: p99 was [bold]too much" in text
    assert "Passed" not in text


def test_an_interrupted_run_says_so() -> None:
    assert "Interrupted. " in summary_of(interrupted=True)


def test_warnings_are_shown() -> None:
    text = summary_of(generator=Generator(workers=2, warnings=["the load test itself was busy"], cpu_share=0.9))
    assert "Warning: the load test itself was busy" in text
    assert "2 workers, the busiest 90.0 % of a core" in text


def test_a_sweep_shows_its_steps_and_the_knee() -> None:
    steps = [
        make_step(rate=100.0),
        make_step(rate=125.0, broken="p99 200 ms", delivered=990),
        make_step(rate=150.0, broken="only 3 % of [the] messages", latency=Percentiles(), seconds=0),
    ]
    text = summary_of(steps=steps, knee=0)
    assert "100 1 000 10.0 ms 61.0 ms 0 the knee" in text
    assert "125 990 10.0 ms 61.0 ms 10 p99 200 ms" in text
    assert "only 3 % of [the] messages" in text


def test_a_storm_shows_how_long_it_took() -> None:
    storm = Storm(clients=10, moment=2.0, seconds=1.5, handshake=Percentiles(count=1, p50=0.7))
    text = summary_of(storm=storm)
    assert "storm 10 clients, all back in 1.50 s" in text
    assert "reconnecting 700 ms" in text
    gone = Storm(clients=1, moment=2.0, seconds=None, handshake=Percentiles())
    text = summary_of(storm=gone)
    assert "storm 1 client, not all came back" in text
    assert "reconnecting" not in text


def test_clients_that_came_back_show_what_they_missed() -> None:
    connects = Connects(wanted=11, made=11, seconds=0.0, handshake=Percentiles(), sessions=15)
    faults = Faults(missed=40, returned={"1001 [red]going": 3}, slow_closed={"1008 too slow": 1})
    text = summary_of(connects=connects, faults=faults)
    assert "connections 11 of 11\n" in text
    assert "sessions 15, 40 deliveries missed while away" in text
    assert "came back 1001 [red]going (3)" in text
    assert "too slow 1008 too slow (1)" in text


def test_clients_that_resumed_show_what_became_of_it() -> None:
    text = summary_of(resumption=Resumption(events=1, polls=5, resumed=1234, notices=2), faults=Faults(lost=3, told=4))
    assert (
        "resuming 1 event stream and 5 polling clients: 3 lost, 1 234 resumed, 4 missed that were told, 2 notices"
        in text
    )


def test_a_roll_call_is_shown_where_nothing_was_measured() -> None:
    text = summary_of(steps=[], delivered=33)
    assert "roll call 33 deliveries" in text
    assert "messages" not in text
    assert "roll call" not in summary_of(steps=[], delivered=0)


def test_servers_and_redis_show_their_cost() -> None:
    sample = Sample(moment=1.0, cpu_seconds=1.0, rss_bytes=64_000_000, connections=10)
    processes = [
        Process(
            name="gateway [1]",
            pid=1,
            samples=[sample],
            cpu_per_delivery=10e-6,
            cpu_per_connection=2e-6,
            rss_per_connection=20_000,
        ),
        Process(name="gateway 2", pid=2, samples=[]),
    ]
    redis = RedisUse(url="redis://h", cpu_share=0.1, commands_rate=200.0, cpu_per_message=50e-6)
    text = summary_of(processes=processes, redis=redis, generator=Generator(workers=1, cpu_per_delivery=5e-6))
    assert "gateway [1] 10.0 µs 2.00 µs/s 20.0 KB 64.0 MB" in text
    assert "gateway 2 – – – –" in text  # noqa: RUF001
    assert "Redis 10.0 % of a core, 50.0 µs CPU per message, 200 commands/s" in text
    assert "5.00 µs CPU per delivery" in text
    assert "CPU per message" not in summary_of(redis=RedisUse(url="", cpu_share=0.1, commands_rate=2.0))


INCIDENT = Incident(
    fault=Fault.LOST,
    moment=1.5,
    client=7,
    url="ws://h",
    channel="room",
    publisher=3,
    first=10,
    last=12,
    text="ev\x1b[31mil\n[bold]",
)


def test_the_first_faults_say_when_what_and_who() -> None:
    result: Result = make_result(faults=Faults(lost=3, incidents=[INCIDENT]))
    text = shown(summary(result), 200)
    assert "first faults\n1.500 s lost: client 7 at ws://h in room, publisher 3, message 10 to 12" in text
    assert "\x1b" not in text
    assert "[bold]" in text


@pytest.mark.parametrize(
    ("incident", "text"),
    [
        (
            Incident(fault=Fault.REORDERED, moment=0, client=1, url="u", publisher=2, first=3, last=3),
            "reordered: client 1 at u, publisher 2, message 3",
        ),
        (Incident(fault=Fault.UNEXPECTED, moment=0, client=1, url="u", text="hi"), "unexpected: client 1 at u (hi)"),
        (
            Incident(fault=Fault.FOREIGN, moment=0, client=1, url="u", publisher=2, first=3),
            "foreign: client 1 at u, publisher 2, message 3",
        ),
    ],
)
def test_a_fault_says_only_what_is_known(incident: Incident, text: str) -> None:
    assert describe(incident) == text


def test_what_a_server_said_is_shown_without_its_control_characters() -> None:
    assert "\x1b" not in describe(INCIDENT)
    assert "\n" not in describe(INCIDENT)

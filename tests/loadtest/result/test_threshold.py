"""Thresholds: how they are written, and when a run breaks them."""

from __future__ import annotations

import pytest

from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Connects, Percentiles, Process, Storm
from relay.loadtest.result.threshold import Threshold, ThresholdError
from tests.loadtest.sample_results import make_result, make_step


def broken(text: str, **fields: object) -> str | None:
    """Return what a threshold says of a result with these fields."""
    return Threshold.parse(text).broken_by(make_result(**fields))


def process(name: str, cpu: float | None, rss: float | None) -> Process:
    """Return a server without samples."""
    return Process(name=name, pid=1, samples=[], cpu_per_delivery=cpu, rss_per_connection=rss)


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("p99>50ms", Threshold("p99", ">", 0.05)),
        (" p99.9 >= 1.5 s ", Threshold("p99.9", ">=", 1.5)),
        ("sent_p99.99<50us", Threshold("sent_p99.99", "<", 0.00005)),
        ("achieved<99.9%", Threshold("achieved", "<", 99.9)),
        ("achieved<99", Threshold("achieved", "<", 99)),
        ("connect_rate<3000/s", Threshold("connect_rate", "<", 3000)),
        ("missed<=0", Threshold("missed", "<=", 0)),
        ("rss_per_connection>20KB", Threshold("rss_per_connection", ">", 20_000)),
        ("storm_seconds>5", Threshold("storm_seconds", ">", 5)),
    ],
)
def test_thresholds_are_read(text: str, threshold: Threshold) -> None:
    """With the unit of their figure."""
    parsed = Threshold.parse(text)
    assert (parsed.figure, parsed.operator) == (threshold.figure, threshold.operator)
    assert parsed.limit == pytest.approx(threshold.limit)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("p99", "write a figure, one of > >= < <=, and a limit, such as p99>50ms"),
        ("p99=50ms", "write a figure, one of > >= < <="),
        ("p98>50ms", "there is no figure p98, did you mean p9"),
        ("duplicates>0", "there is no figure duplicates, did you mean duplicated?"),
        ("weather>0", "there is no figure weather; allowed: p50, p90, p99, p99.9, p99.99, max, mean, sent_p50"),
        ("p99>50", "'50' is not a duration: a number with us, ms, s"),
        ("p99>", "'' is not a duration"),
        ("lost>1%", "'1%' is not a number, such as 0"),
        ("achieved<fully", "'fully' is not a percentage"),
    ],
)
def test_what_is_wrong_is_told_what_is_allowed(text: str, problem: str) -> None:
    """The threshold as it was given, and what to write instead."""
    with pytest.raises(ThresholdError) as caught:
        Threshold.parse(text)
    assert str(caught.value).startswith(f"{text!r}: {problem}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("p99>50ms", "p99 was 61 ms, not to be more than 50 ms"),
        ("p99>=61ms", "p99 was 61 ms, not to be 61 ms or more"),
        ("p99<100ms", "p99 was 61 ms, not to be less than 100 ms"),
        ("p99<=61ms", "p99 was 61 ms, not to be 61 ms or less"),
        ("p99>61ms", None),
        ("p99<61ms", None),
        ("mean>1ms", "mean was 10 ms, not to be more than 1 ms"),
        ("sent_p99>10ms", "sent_p99 was 50 ms, not to be more than 10 ms"),
        ("connect_max>1ms", "connect_max was 5 ms, not to be more than 1 ms"),
        ("connect_rate<3000", "connect_rate was 22/s, not to be less than 3 000/s"),
        ("delivery_rate<2000/s", "delivery_rate was 1 000/s, not to be less than 2 000/s"),
        ("achieved<99.9%", "achieved was 99 %, not to be less than 99.9 %"),
        ("lost>0", None),
    ],
)
def test_a_run_is_held_against_them(text: str, sentence: str | None) -> None:
    """In words, with the figure and the limit."""
    assert broken(text) == sentence


def test_a_narrow_miss_shows_the_difference() -> None:
    """Not "50 ms, not to be more than 50 ms"."""
    step = make_step(latency=Percentiles(count=1, p99=0.05004))
    assert broken("p99>50ms", steps=[step]) == "p99 was 50.04 ms, not to be more than 50 ms"


def test_faults_are_counted_whatever_their_cause() -> None:
    """Causes are summed up."""
    faults = Faults(lost=3, missed=4, closed={"reset": 2, "1001 going away": 1}, refused={"HTTP 503": 7})
    assert broken("lost>0", faults=faults) == "lost was 3, not to be more than 0"
    assert broken("missed>3", faults=faults) == "missed was 4, not to be more than 3"
    assert broken("closed>2", faults=faults) == "closed was 3, not to be more than 2"
    assert broken("refused>0", faults=faults) == "refused was 7, not to be more than 0"


def test_a_sweep_is_judged_by_its_best_kept_step() -> None:
    """The broken one is how a sweep ends."""
    steps = [make_step(), make_step(latency=Percentiles(count=1, p99=9.0), broken="p99 above 100 ms")]
    assert broken("p99>100ms", steps=steps) is None


def test_servers_are_summed_in_cpu_and_the_largest_counts_in_memory() -> None:
    """What a delivery costs is paid by all of them together."""
    processes = [process("gateway 1", 3e-6, 14_000.0), process("gateway 2", 4e-6, 21_000.0)]
    cpu = broken("cpu_per_delivery>5us", processes=processes)
    memory = broken("rss_per_connection>20KB", processes=processes)
    assert cpu == "cpu_per_delivery was 7 µs, not to be more than 5 µs"
    assert memory == "rss_per_connection was 21 KB, not to be more than 20 KB"


def test_a_storm_that_ends_has_a_length() -> None:
    """From the cut to the last client."""
    storm = Storm(clients=10, moment=3.0, seconds=7.5, handshake=Percentiles())
    assert broken("storm_seconds>5", storm=storm) == "storm_seconds was 7.5 s, not to be more than 5 s"


@pytest.mark.parametrize(
    ("text", "fields", "why"),
    [
        ("p99>50ms", {"steps": []}, "no delivery was measured"),
        ("p99>50ms", {"steps": [make_step(latency=Percentiles())]}, "no delivery was measured"),
        ("achieved<90%", {"steps": []}, "no message was due"),
        ("achieved<90%", {"steps": [make_step(offered=0)]}, "no message was due"),
        ("cpu_per_delivery>5us", {}, "no server was watched from before the ramp to the end (--pid)"),
        (
            "cpu_per_delivery>5us",
            {"processes": [process("gateway 1", 1e-6, 1.0), process("gateway 2", None, 1.0)]},
            "no server was watched from before the ramp to the end (--pid)",
        ),
        ("storm_seconds>5", {}, "there was no storm, or not all clients came back"),
        (
            "storm_seconds>5",
            {"storm": Storm(clients=1, moment=1.0, seconds=None, handshake=Percentiles())},
            "there was no storm, or not all clients came back",
        ),
        (
            "connect_rate<1",
            {"connects": Connects(wanted=1, made=0, seconds=0.0, handshake=Percentiles(), sessions=0)},
            "fewer than two connections were made",
        ),
    ],
)
def test_a_figure_that_a_run_lacks_breaks_the_threshold(text: str, fields: dict[str, object], why: str) -> None:
    """A run that measured nothing has proved nothing."""
    sentence = broken(text, **fields)
    assert sentence is not None
    assert sentence.endswith(f", but the run has no such figure: {why}")

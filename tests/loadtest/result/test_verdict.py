"""What a run comes to, in words."""

from __future__ import annotations

import pytest

from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Connects, Percentiles, Result, Resumption, Step
from relay.loadtest.result.verdict import Ending, ending, failures, sentence
from tests.loadtest.sample_results import make_result, make_step

CHECKED = "Every message reached every receiver, once and in order."
READING = "Nothing lost that a connected, reading client should have had."
EARLY = "The run was ended early: the figures cover only what was done until then."


def connects(made: int) -> Connects:
    """Return a ramp to ten connections."""
    return Connects(wanted=10, made=made, seconds=1.0, handshake=Percentiles(), sessions=made)


def sweep(*broken: str, knee: int | None = None) -> Result:
    """Return a sweep with a step for each reason, at 100, 200, … messages/s; an empty one was kept."""
    steps: list[Step] = [make_step(rate=100.0 * number, broken=why) for number, why in enumerate(broken, start=1)]
    return make_result(steps=steps, knee=knee)


def resumption(resumed: int) -> Resumption:
    """Return what clients did that resumed so often."""
    return Resumption(events=5, polls=5, resumed=resumed, notices=1)


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (Faults(), []),
        (Faults(lost=1), ["1 delivery lost"]),
        (Faults(lost=12_318), ["12 318 deliveries lost"]),
        (
            Faults(duplicated=2, reordered=1, foreign=3),
            ["2 deliveries duplicated", "1 delivery out of order", "3 deliveries foreign or damaged"],
        ),
        (Faults(unexpected=1), ["1 unexpected frame"]),
        (Faults(unsent=212), ["212 messages could not be sent"]),
        (
            Faults(closed={"reset": 3, "1001 going away": 48}),
            ["51 connections ended by the server: 1001 going away (48), reset (3)"],
        ),
        (Faults(refused={"HTTP 503": 1}), ["1 connection could not be made: HTTP 503 (1)"]),
        (Faults(missed=5, returned={"reset": 1}, slow_closed={"1008 too slow": 2}), []),
    ],
)
def test_every_fault_is_a_reason_to_fail(faults: Faults, said: list[str]) -> None:
    """With its number; what explains itself is none."""
    assert failures(make_result(faults=faults)) == said


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (Faults(), "1 connection not made"),
        (Faults(refused={"timeout": 1}), "1 connection could not be made: timeout (1)"),
    ],
)
def test_a_missing_connection_is_told_once(faults: Faults, said: str) -> None:
    """With its cause where there is one."""
    assert failures(make_result(connects=connects(9), faults=faults)) == [said]
    assert failures(make_result(connects=connects(10))) == []


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (make_result(), CHECKED),
        (make_result(faults=Faults(missed=3)), READING),
        (make_result(faults=Faults(returned={"reset": 1}), steps=[]), READING),
        (make_result(faults=Faults(slow_closed={"1008 too slow": 2})), READING),
        (make_result(steps=[], delivered=30), "No connection was lost, and the roll call reached every receiver."),
        (make_result(steps=[]), "No connection was lost; there was nothing to receive."),
        (sweep("", "", "p99 1 s", knee=1), "The highest rate that was kept, the knee: 200 messages/s."),
        (sweep("p99 1 s", "p99 1 s"), "No knee was found: even 100 messages/s were too much."),
        (sweep("", ""), "Nothing broke up to 200 messages/s: the knee lies above."),
        (make_result(resumption=resumption(7)), "0 lost, 7 resumed, 0 missed that were told."),
        (
            make_result(resumption=resumption(7), faults=Faults(told=12, returned={"reset": 1})),
            "0 lost, 7 resumed, 12 missed that were told.",
        ),
    ],
)
def test_a_run_that_passed_claims_no_more_than_it_has_shown(result: Result, expected: str) -> None:
    """It passed when there is no reason to fail."""
    assert (ending(result), sentence(result)) == (Ending.PASSED, expected)


def test_a_run_in_which_nobody_resumed_shows_nothing() -> None:
    """Unless it was ended before anybody could."""
    (reason,) = failures(make_result(resumption=resumption(0)))
    assert reason.startswith("no client resumed, so nothing is shown")
    assert failures(make_result(resumption=resumption(0), interrupted=True)) == []
    refused = Faults(refused={"HTTP 401": 1})
    assert failures(make_result(resumption=resumption(0), faults=refused)) == [
        "1 connection could not be made: HTTP 401 (1)"
    ]


def test_a_failed_run_has_reasons_instead_of_a_sentence() -> None:
    """They say it all."""
    failed = make_result(verdict=["1 delivery lost"])
    assert (ending(failed), sentence(failed)) == (Ending.FAILED, "")


def test_a_run_that_was_ended_early_says_so() -> None:
    """Whether or not it had failed by then."""
    early, failed = make_result(interrupted=True), make_result(interrupted=True, verdict=["1 delivery lost"])
    assert (ending(early), sentence(early)) == (Ending.INTERRUPTED, EARLY)
    assert (ending(failed), sentence(failed)) == (Ending.FAILED, EARLY)

"""What a verdict says to figures with faults, and to noisy ones."""

from __future__ import annotations

from collections import Counter
from math import inf

import pytest

from tests.attacks.verdict import Judgement, Least, Outcome, Span, Verdict, conclude

HELD, VOID, FAILED = Judgement.HELD, Judgement.VOID, Judgement.FAILED


def outcome(
    attacked: float = 0.006,
    quiet: float = 0.003,
    *,
    before: float = 0.003,
    control: float = 0.001,
    control_attacked: float = 0.001,
) -> Outcome:
    """Return what a siege has found, with everything in order where nothing else is said."""
    return Outcome(
        Least(100, bytes=1000),
        before=[Span(before, control)] * 2,
        attacked=[Span(attacked, control_attacked)] * 4,
        quiet=[Span(quiet, control)] * 4,
        attacked_seconds=10,
        met=Counter(connections=1000, bytes=10_000),
        memory_before=100,
        memory_peak=200,
        memory_after=110,
    )


def judge(found: Outcome) -> tuple[Judgement, str]:
    """Return the verdict, and its reasons as one text."""
    return found.verdict.judgement, "; ".join(found.verdict.reasons)


def test_nothing_is_held_against_a_gateway_that_holds() -> None:
    assert judge(outcome()) == (HELD, "")


def test_a_lost_message_fails_on_any_machine() -> None:
    for found in (outcome(), outcome(attacked=0.001, control=0.1), outcome(control_attacked=1)):
        found.faults.append("1 deliveries to healthy clients are missing")
        assert judge(found)[0] is FAILED


def test_a_lost_message_fails_even_when_the_attack_did_too_little() -> None:
    found = outcome()
    found.met.clear()
    found.faults.append("1 deliveries to healthy clients are missing")
    assert judge(found)[0] is FAILED


def test_a_latency_of_three_times_the_quiet_one_fails() -> None:
    assert judge(outcome(attacked=0.0089))[0] is HELD
    assert judge(outcome(attacked=0.0091)) == (FAILED, "p99 is 3.0 times its quiet value")


def test_messages_that_never_come_back_are_no_small_latency() -> None:
    assert judge(outcome(attacked=inf))[0] is FAILED


def test_memory_that_stays_fails_on_any_machine() -> None:
    for found in (outcome(), outcome(attacked=0.01, control_attacked=0.1)):
        found.memory_after = 111
        judgement, reasons = judge(found)
        assert judgement is FAILED
        assert "memory stays at 1.11 times its value" in reasons


def test_latency_that_the_control_shares_is_void() -> None:
    judgement, reasons = judge(outcome(attacked=0.012, control_attacked=0.002))
    assert judgement is VOID
    assert "but the control's 2.0 times, and quiet spans 1.0 times apart" in reasons


def test_latency_beyond_what_the_control_shares_fails() -> None:
    assert judge(outcome(attacked=0.0181, control_attacked=0.002))[0] is FAILED


def test_quiet_spans_that_are_as_far_apart_as_an_attack_may_take_them_are_void() -> None:
    found = outcome(attacked=0.003)
    found.before, found.quiet = [Span(0.003, 0.001), Span(0.010, 0.001)], [Span(0.003, 0.001), Span(0.010, 0.001)] * 2
    assert judge(found) == (VOID, "quiet spans are 3.3 times apart")


def test_quiet_spans_in_which_an_attack_could_hide_are_void() -> None:
    found = outcome(attacked=0.020)
    found.quiet = [Span(0.003, 0.001), *[Span(0.028, 0.001)] * 5]
    found.before = [Span(0.028, 0.001)] * 2
    assert judge(found) == (VOID, "the quiet value is 9.3 times the best of its spans")


def test_one_hiccup_decides_nothing() -> None:
    found = outcome()
    found.attacked[0] = found.quiet[2] = Span(1.0, 0.001)
    assert judge(found) == (HELD, "")


def test_latency_that_stays_after_the_attack_is_no_quiet_value() -> None:
    found = outcome(attacked=0.012, quiet=0.012)
    judgement, reasons = judge(found)
    assert judgement is FAILED
    assert reasons.startswith("p99 stays at 4.0 times its value before the attack; ")


def test_a_machine_that_became_slower_for_good_is_void() -> None:
    found = outcome(attacked=0.012, quiet=0.012)
    found.quiet = [Span(0.012, 0.004)] * 4
    assert judge(found)[0] is VOID


@pytest.mark.parametrize("what", ["connections", "bytes"])
def test_an_attack_that_did_too_little_is_void(what: str) -> None:
    found = outcome()
    found.met[what] -= 1
    judgement, reasons = judge(found)
    assert judgement is VOID
    assert f"the attack did too little: {found.met[what]:,} {what}" in reasons


def test_an_attack_that_never_connected_is_void_whatever_it_had_to_do() -> None:
    found = outcome()
    found.least = Least(0)
    found.met.clear()
    assert judge(found) == (VOID, "there was no attack")


def test_an_attack_that_makes_the_gateway_too_slow_for_itself_has_done_enough() -> None:
    found = outcome(attacked=0.180)
    found.met = Counter(connections=30, bytes=1000)
    judgement, reasons = judge(found)
    assert judgement is FAILED
    assert reasons.startswith("p99 is 60.0 times its quiet value; the attack did too little")


def test_a_slow_span_without_an_attack_is_void() -> None:
    found = outcome(attacked=0.180)
    found.met.clear()
    assert judge(found) == (VOID, "there was no attack")


def test_an_outcome_without_figures_is_void() -> None:
    judgement, reasons = judge(Outcome(Least(1)))
    assert judgement is VOID
    assert reasons.startswith("nothing was measured; the memory was not measured")


def test_healthy_clients_that_hardly_speak_measure_nothing() -> None:
    found = outcome()
    found.attacked = [Span(0.003, 0.001, messages=0.4)] * 4
    assert judge(found) == (VOID, "the healthy clients hardly spoke")


def conclusion(*judgements: Judgement) -> tuple[int, str]:
    """Return the exit code and the last sentence for attacks 0, 1 and on."""
    return conclude({str(number): Verdict(judgement, []) for number, judgement in enumerate(judgements)})


def test_a_run_passes_by_what_it_has_shown() -> None:
    assert conclusion(HELD, HELD) == (0, "2 of 2 as it should be")
    assert conclusion(HELD, HELD, VOID) == (0, "2 of 3 as it should be; VOID, so not shown by this run: 2")


def test_a_run_that_has_shown_too_little_does_not_pass() -> None:
    assert conclusion() == (2, "0 of 0 as it should be")
    assert conclusion(VOID)[0] == 2
    assert conclusion(HELD, VOID)[0] == 2


def test_one_failure_fails_a_run() -> None:
    assert conclusion(HELD, HELD, VOID, FAILED) == (
        1,
        "2 of 4 as it should be; FAILED: 3; VOID, so not shown by this run: 2",
    )

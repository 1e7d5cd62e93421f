"""What is measured again when a verdict may be the machine's fault."""

from __future__ import annotations

from tests.attacks.repetitions import Repetitions
from tests.attacks.verdict import Judgement, Least, Outcome, Span

SECONDS = 30.0
"""What a measurement takes here."""


def void() -> Outcome:
    """Return an outcome of which nothing was measured."""
    return Outcome(Least(1))


def failed() -> Outcome:
    """Return an outcome with a loss."""
    return Outcome(Least(1), faults=["lost"])


def held(attacked: float = 1.0) -> Outcome:
    """Return an outcome with nothing to complain of, but perhaps the latency."""
    calm = [Span(1, 1)] * 2
    found = Outcome(Least(0), before=calm, attacked=[Span(attacked, 1)], quiet=calm, memory_before=1, memory_after=1)
    found.met["connections"] = 1
    return found


def slow() -> Outcome:
    """Return an outcome of which only the latency is to be complained of."""
    return held(attacked=10.0)


class Campaign:
    """Attacks on a machine whose clock goes on by measuring alone.

    Args:
        seconds: what repetitions may take.
    """

    def __init__(self, seconds: float) -> None:
        self._now = 0.0
        self._repetitions = Repetitions(seconds, lambda: self._now)

    def judge(self, *outcomes: Outcome) -> list[Judgement]:
        """Return the verdicts that one attack gets whose measurements would give these outcomes."""
        waiting = list(outcomes)

        def measure() -> Outcome:
            self._now += SECONDS
            return waiting.pop(0)

        return [outcome.verdict.judgement for outcome in self._repetitions.attempts(measure)]


def test_a_verdict_is_not_asked_for_twice() -> None:
    assert Campaign(80).judge(held(), failed()) == [Judgement.HELD]
    assert Campaign(80).judge(failed(), held()) == [Judgement.FAILED]


def test_a_void_one_gets_a_second_chance_and_no_third() -> None:
    assert Campaign(80).judge(void(), held()) == [Judgement.VOID, Judgement.HELD]
    assert Campaign(80).judge(void(), failed()) == [Judgement.VOID, Judgement.FAILED]
    assert Campaign(80).judge(void(), void(), held()) == [Judgement.VOID, Judgement.VOID]


def test_latency_alone_has_to_fail_twice() -> None:
    assert Campaign(80).judge(slow(), slow(), held()) == [Judgement.FAILED, Judgement.FAILED]
    assert Campaign(80).judge(slow(), held()) == [Judgement.FAILED, Judgement.HELD]
    forgetful = slow()
    forgetful.memory_after = 2
    assert Campaign(80).judge(forgetful, held()) == [Judgement.FAILED]


def test_no_repetition_begins_when_their_time_is_over() -> None:
    campaign = Campaign(80)
    assert [len(campaign.judge(void(), held())) for _ in range(4)] == [2, 2, 2, 1]

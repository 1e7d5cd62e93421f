"""The judge of runs: it finds nothing in right histories, and each lie in others."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.faults.judge import judge, shortest_prefix
from tests.faults.model.bugs import BUGS
from tests.faults.model.bus import BusChannel
from tests.faults.model.gateway import ModelGateway
from tests.faults.model.run import ModelRun
from tests.faults.mutations import MUTATIONS, Mutated, Spots
from tests.faults.operations import Fault, History
from tests.harness.examples import examples

STEPS = 500
"""How long the histories are that lies are told about: some 700 operations."""

SEEDS = st.integers(0, 2**32)


@lru_cache(maxsize=64)
def spots(seed: int) -> Spots:
    """Return a right history, and where things are in it."""
    return Spots(ModelRun(seed, STEPS).history)


@examples(600)
@given(seed=SEEDS, steps=st.integers(0, 600))
def test_nothing_is_found_in_right_histories(seed: int, steps: int) -> None:
    verdict = judge(ModelRun(seed, steps).history)
    assert [finding.sentence for finding in verdict.findings] == []
    assert verdict.counts.missed_untold == 0


def test_a_long_right_history_shows_that_the_promises_are_kept() -> None:
    """The short ones are void."""
    verdict = judge(ModelRun(7, 6000).history)
    assert verdict, (verdict.findings, verdict.void)
    assert verdict.counts.missed_told > 100
    assert verdict.counts.recovered > 50


@pytest.mark.parametrize("lie", MUTATIONS, ids=[lie.__name__ for lie in MUTATIONS])
@examples(25)
@given(seed=st.integers(0, 60), data=st.data())
def test_each_lie_is_found_by_the_rule_that_it_breaks(
    lie: Callable[[Spots, Random], Mutated], seed: int, data: st.DataObject
) -> None:
    mutated = lie(spots(seed), data.draw(st.randoms(use_true_random=False)))
    assume(mutated is not None)
    assert mutated is not None
    history, rule = mutated
    verdict = judge(history)
    assert rule in verdict.broken, verdict
    assert verdict.findings[0].proof


@examples(50)
@given(seed=st.integers(0, 60), lie=st.sampled_from(MUTATIONS), random=st.randoms(use_true_random=False))
def test_the_shortest_history_that_breaks_a_rule_is_found(
    seed: int, lie: Callable[[Spots, Random], Mutated], random: Random
) -> None:
    mutated = lie(spots(seed), random)
    assume(mutated is not None)
    assert mutated is not None
    history, _ = mutated
    count, finding = shortest_prefix(history, judge(history))
    assert finding.proved_at < count
    assert judge(_prefix(history, count)).findings
    assert not judge(_prefix(history, count - 1)).findings


@pytest.mark.parametrize("bug", list(BUGS), ids=[bug.__name__ for bug in BUGS])
def test_each_bug_of_a_relay_is_found(bug: type[BusChannel | ModelGateway]) -> None:
    """In half a minute of its time."""
    steps = 2500
    if issubclass(bug, BusChannel):
        history = ModelRun(1, steps, channel=bug).history
    else:
        history = ModelRun(1, steps, gateway=bug).history
    assert BUGS[bug] in judge(history).broken


def _prefix(history: History, count: int) -> History:
    faults = [operation for operation in history[count:] if isinstance(operation, Fault)]
    return [*history[:count], *faults]

"""The kinds of faults, and their order."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random

from tests.faults.injections.schedule import ALL, deck


def test_a_seed_repeats_the_order_of_faults() -> None:
    first, again, other = (list(islice(deck(Random(seed), ALL), 3 * len(ALL))) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_each_kind_of_fault_has_its_turn_before_any_has_a_second_one() -> None:
    kinds = [injection.kind for injection in islice(deck(Random(1), ALL), 2 * len(ALL))]
    assert len(set(kinds)) == len(ALL)
    assert set(Counter(kinds[: len(ALL)]).values()) == {1}

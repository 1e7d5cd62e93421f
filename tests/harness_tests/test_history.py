"""The checker finds every kind of damage that is done to a good history, and nothing in a good one."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.harness.history import Anomalies, Label, check_history, first_disagreement, label_of, labelled

SENT = {"a": 5, "b": 4, "c": 3}


def interleaved(seed: int) -> list[str]:
    """Return a history in which nothing is wrong: any merge of the publishers' sequences."""
    order = [name for name, count in SENT.items() for _ in range(count)]
    random.Random(seed).shuffle(order)
    numbers = dict.fromkeys(SENT, 0)
    history = []
    for name in order:
        history.append(labelled(name, numbers[name], size=20))
        numbers[name] += 1
    return history


seeds = st.integers(0, 1000)
positions = st.integers(0, sum(SENT.values()) - 1)


@given(seeds)
def test_a_good_history_has_no_anomalies(seed: int) -> None:
    assert not check_history(interleaved(seed), SENT)


@given(seeds, positions)
def test_a_missing_message_is_lost(seed: int, position: int) -> None:
    history = interleaved(seed)
    missing = label_of(history.pop(position))
    anomalies = check_history(history, SENT)
    assert anomalies == Anomalies(lost=[missing])


@given(seeds, positions, positions)
def test_a_repeated_message_is_duplicated_wherever_it_comes(seed: int, position: int, other: int) -> None:
    history = interleaved(seed)
    again = history[min(position, other)]
    history.insert(max(position, other) + 1, again)
    anomalies = check_history(history, SENT)
    assert anomalies == Anomalies(duplicated=[label_of(again)])


@given(seeds, st.sampled_from(sorted(SENT)), st.data())
def test_a_message_after_a_later_one_is_reordered(seed: int, name: str, data: st.DataObject) -> None:
    history = interleaved(seed)
    number = data.draw(st.integers(0, SENT[name] - 2))
    first, second = (history.index(labelled(name, n, size=20)) for n in (number, number + 1))
    history[first], history[second] = history[second], history[first]
    anomalies = check_history(history, SENT)
    assert anomalies == Anomalies(reordered=[Label(name, number)])


def test_a_message_that_nobody_sent_is_unknown() -> None:
    history = [*interleaved(0), labelled("a", 5), labelled("z", 0)]
    assert check_history(history, SENT).unknown == [Label("a", 5), Label("z", 0)]


@given(seeds)
def test_clients_that_lack_messages_of_their_own_agree(seed: int) -> None:
    history = interleaved(seed)
    views = [[text for text in history if label_of(text).publisher != name] for name in SENT]
    assert first_disagreement([history, *views]) is None


@given(seeds, positions)
def test_two_swapped_messages_are_a_disagreement(seed: int, position: int) -> None:
    history = interleaved(seed)
    swapped = history.copy()
    swapped[position], swapped[position - 1] = swapped[position - 1], swapped[position]
    found = first_disagreement([history, history, swapped])
    assert found is not None
    assert found[:2] == (0, 2)


def test_publishers_that_are_interleaved_differently_are_a_disagreement() -> None:
    one = [labelled("a", 0), labelled("b", 0)]
    assert not check_history(one, {"a": 1, "b": 1})
    assert not check_history(one[::-1], {"a": 1, "b": 1})
    assert first_disagreement([one, one[::-1]]) == (0, 1, Label("a", 0))

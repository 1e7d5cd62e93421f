"""In which order commands begin, whatever comes and whenever it is answered."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.protocols.centrifuge.command_order import (
    CONCURRENT,
    EXCLUSIVE,
    LARGE,
    MOST_LARGE,
    MOST_UNDER_WAY,
    CommandOrder,
)
from relay.protocols.centrifuge.connection import REQUESTS

READINGS = sorted(set(REQUESTS) - EXCLUSIVE - CONCURRENT)


def may_begin(kind: str, under_way: list[str]) -> bool:
    """Return what the table of `CommandOrder` says."""
    if any(one in EXCLUSIVE for one in under_way):
        return False
    if kind in CONCURRENT:
        return True
    if any(one in CONCURRENT for one in under_way):
        return False
    if kind in LARGE and sum(one in LARGE for one in under_way) >= MOST_LARGE:
        return False
    return kind in EXCLUSIVE or len(under_way) < MOST_UNDER_WAY


class Orders(RuleBasedStateMachine):
    """Commands come and are answered in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.order = CommandOrder()
        self.under_way: list[str] = []
        self.waiting: list[int] = []
        self.kinds: list[str] = []

    def _go_on(self) -> None:
        while self.waiting and self.order.begin(kind := self.kinds[self.waiting[0]]):
            assert may_begin(kind, self.under_way)
            self.under_way.append(kind)
            self.waiting.pop(0)

    @rule(kind=st.sampled_from(sorted(REQUESTS)), times=st.sampled_from([1, 1, 2, MOST_UNDER_WAY]))
    def add(self, kind: str, times: int) -> None:
        for _ in range(times):
            number = len(self.kinds)
            self.kinds.append(kind)
            self.waiting.append(number)
        self._go_on()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        kind = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.order.answered(kind)
        self._go_on()

    @invariant()
    def the_first_that_waits_has_to(self) -> None:
        if self.waiting:
            assert not may_begin(self.kinds[self.waiting[0]], self.under_way)


TestOrders = Orders.TestCase


@pytest.mark.parametrize("alone", sorted(EXCLUSIVE))
def test_nothing_begins_beside_what_goes_alone(alone: str) -> None:
    for other in REQUESTS:
        order = CommandOrder()
        assert order.begin(alone)
        assert not order.begin(other)
        order.answered(alone)
        assert order.begin(other)


def test_publications_do_not_wait_for_each_other_but_others_wait_for_them() -> None:
    order = CommandOrder()
    assert all(order.begin("publish") for _ in range(1000))
    for _ in range(1000):
        assert not order.begin("history")
        order.answered("publish")
    assert order.begin("history")
    assert order.begin("publish"), "it does not wait for readings"


@pytest.mark.parametrize("kind", sorted(REQUESTS))
def test_nothing_begins_for_a_client_that_has_answers_to_take(kind: str) -> None:
    order = CommandOrder()
    order.full = True
    assert not order.begin(kind)
    order.full = False
    assert order.begin(kind)


@pytest.mark.parametrize("reading", READINGS)
def test_so_many_readings_are_under_way(reading: str) -> None:
    order = CommandOrder()
    assert all(order.begin(reading) for _ in range(MOST_LARGE if reading in LARGE else MOST_UNDER_WAY))
    assert not order.begin(reading)
    order.answered(reading)
    assert order.begin(reading)
    assert order.begin("subscribe"), "it does not wait for readings"

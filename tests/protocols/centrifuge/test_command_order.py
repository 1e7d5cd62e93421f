"""In which order commands begin, whatever comes and whenever it is answered."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.protocols.centrifuge.command_order import ALONE, MANY, MOST_UNDER_WAY, CommandOrder
from relay.protocols.centrifuge.commands import Command
from relay.protocols.centrifuge.connection import REQUESTS

READINGS = sorted(set(REQUESTS) - ALONE - MANY)


def may_begin(kind: str, under_way: list[str]) -> bool:
    """Return what the table of `CommandOrder` says."""
    if any(one in ALONE for one in under_way):
        return False
    if kind in MANY:
        return True
    if any(one in MANY for one in under_way):
        return False
    return kind in ALONE or len(under_way) < MOST_UNDER_WAY


class Orders(RuleBasedStateMachine):
    """Commands come and are answered in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.order = CommandOrder()
        self.under_way: list[str] = []
        self.waiting: list[int] = []
        self.kinds: list[str] = []
        self.begun: list[int] = []

    def _begin(self, number: int, kind: str) -> None:
        assert may_begin(kind, self.under_way)
        self.under_way.append(kind)
        self.begun.append(number)

    @rule(kind=st.sampled_from(sorted(REQUESTS)), times=st.sampled_from([1, 1, 2, MOST_UNDER_WAY]))
    def add(self, kind: str, times: int) -> None:
        for _ in range(times):
            number = len(self.kinds)
            self.kinds.append(kind)
            if self.order.add(kind, Command(id=number)):
                self._begin(number, kind)
            else:
                self.waiting.append(number)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        kind = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.order.end(kind)
        while (following := self.order.next()) is not None:
            kind, command = following
            assert self.waiting.pop(0) == command.id
            assert kind == self.kinds[command.id]
            self._begin(command.id, kind)

    @invariant()
    def they_begin_in_the_order_in_which_they_came(self) -> None:
        assert self.begun == sorted(self.begun)
        assert self.order.waiting == len(self.waiting)

    @invariant()
    def the_first_that_waits_has_to(self) -> None:
        if self.waiting:
            assert not may_begin(self.kinds[self.waiting[0]], self.under_way)


TestOrders = Orders.TestCase


@pytest.mark.parametrize("alone", sorted(ALONE))
def test_nothing_begins_beside_what_goes_alone(alone: str) -> None:
    for other in REQUESTS:
        order = CommandOrder()
        assert order.add(alone, Command())
        assert not order.add(other, Command())
        assert order.next() is None
        order.end(alone)
        assert order.next() == (other, Command())
        assert order.next() is None


def test_publications_do_not_wait_for_each_other_but_others_wait_for_them() -> None:
    order = CommandOrder()
    assert all(order.add("publish", Command()) for _ in range(1000))
    assert not order.add("history", Command())
    assert not order.add("publish", Command()), "it does not overtake"
    for _ in range(1000):
        assert order.next() is None
        order.end("publish")
    assert order.next() == ("history", Command())
    assert order.next() == ("publish", Command())


@pytest.mark.parametrize("kind", sorted(REQUESTS))
def test_what_may_have_a_long_answer_waits_for_a_full_client(kind: str) -> None:
    """No publication, and nothing that makes its client get less, or stay."""
    order = CommandOrder()
    order.full = True
    waits = kind in {"subscribe", *READINGS}
    assert order.add(kind, Command()) is not waits
    if waits:
        assert order.next() is None
        order.full = False
        assert order.next() == (kind, Command())


@pytest.mark.parametrize("reading", READINGS)
def test_so_many_readings_are_under_way(reading: str) -> None:
    order = CommandOrder()
    assert all(order.add(reading, Command()) for _ in range(MOST_UNDER_WAY))
    assert not order.add(reading, Command())
    order.end(reading)
    assert order.next() is not None
    assert order.waiting == 0
    assert order.add("subscribe", Command()), "it does not wait for readings"

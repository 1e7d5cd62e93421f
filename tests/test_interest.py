"""Who waits for the bus to acknowledge one channel."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay.interest import Acknowledged, Interest


class Waiters:
    """Functions that note by whom they were called.

    Attributes:
        told: their numbers, in order.
    """

    def __init__(self, interest: Interest, acknowledged: Acknowledged, count: int) -> None:
        self.told: list[int] = []
        self.all = [self._make(number) for number in range(count)]
        for waiter in self.all:
            interest.wait(acknowledged, waiter)

    def _make(self, number: int):  # type: ignore[no-untyped-def]
        def waiter(acknowledged: Acknowledged) -> None:
            assert acknowledged.done()
            self.told.append(number)

        return waiter


@pytest.fixture
async def acknowledged() -> Acknowledged:
    return asyncio.get_running_loop().create_future()


async def test_all_who_wait_are_told_once_in_the_order_in_which_they_came(acknowledged: Acknowledged) -> None:
    interest = Interest("a")
    waiters = Waiters(interest, acknowledged, 5)
    assert len(acknowledged._callbacks) == 1
    acknowledged.set_result(None)
    await asyncio.sleep(0)
    assert waiters.told == [0, 1, 2, 3, 4]
    assert interest._waiters is None


async def test_those_who_have_given_up_are_not_told(acknowledged: Acknowledged) -> None:
    interest = Interest("a")
    waiters = Waiters(interest, acknowledged, 3)
    interest.forget(acknowledged, waiters.all[1])
    interest.forget(acknowledged, waiters.all[1])
    acknowledged.set_result(None)
    await asyncio.sleep(0)
    assert waiters.told == [0, 2]
    interest.forget(acknowledged, waiters.all[0])


async def test_nothing_is_kept_when_all_have_given_up(acknowledged: Acknowledged) -> None:
    interest = Interest("a")
    for waiter in Waiters(interest, acknowledged, 3).all:
        interest.forget(acknowledged, waiter)
    assert not acknowledged._callbacks
    assert interest._waiters is None


async def test_those_who_give_up_in_the_tick_of_the_acknowledgement_are_not_told(acknowledged: Acknowledged) -> None:
    interest = Interest("a")
    waiters = Waiters(interest, acknowledged, 2)
    acknowledged.set_result(None)
    for waiter in waiters.all:
        interest.forget(acknowledged, waiter)
    await asyncio.sleep(0)
    assert waiters.told == []


async def test_after_a_refusal_others_wait_for_another_future(acknowledged: Acknowledged) -> None:
    interest = Interest("a")
    first = Waiters(interest, acknowledged, 2)
    acknowledged.set_exception(ValueError("refused"))
    acknowledged.exception()
    later: Acknowledged = asyncio.get_running_loop().create_future()
    second = Waiters(interest, later, 2)
    await asyncio.sleep(0)
    assert (first.told, second.told) == ([0, 1], [])
    later.set_result(None)
    await asyncio.sleep(0)
    assert second.told == [0, 1]


async def test_giving_up_takes_no_longer_the_more_wait(acknowledged: Acknowledged) -> None:
    """Each would look through all callbacks of the future otherwise: time would grow with the square."""

    def give_up(count: int) -> float:
        interest = Interest("a")
        waiters = Waiters(interest, acknowledged, count)
        began = time.process_time()
        for waiter in reversed(waiters.all):
            interest.forget(acknowledged, waiter)
        return time.process_time() - began

    few = min(give_up(1000) for _ in range(5))
    many = min(give_up(8000) for _ in range(5))
    assert many < 32 * few, "8 times as many; 64 times as long if each looked at all"

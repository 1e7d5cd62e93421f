"""What a client was told may be missing as far as it was sent before; everything else is lost."""

from __future__ import annotations

import pytest

from relay.loadtest.generator.delivery_checker import DeliveryChecker
from relay.loadtest.result.faults import Faults
from tests.loadtest.generator.test_delivery_checker import counts, finish, receive, receiver


def resumed(*steps: tuple[int, int] | int, total: int = 10) -> Faults:
    """Return the faults of a client that resumes.

    Args:
        *steps: runs of one publisher that it heard, and moments at which it was told that something was missing.
        total: messages that the publisher has sent.
    """
    checker, who = DeliveryChecker(), receiver(0)
    for step in steps:
        if isinstance(step, int):
            who.tell(step)
        else:
            receive(checker, who, 0, step)
    return finish(checker, who, total)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(0, 3), 35, (4, 9)], {}),
        ([(0, 3), 65, (7, 9)], {"told": 3}),
        ([(0, 3), 65, (8, 9)], {"told": 3, "lost": 1}),
        ([(0, 3), 65], {"told": 3, "lost": 3}),
        ([(0, 3), 95], {"told": 6}),
        ([65, (7, 9)], {"told": 7}),
        ([(0, 1), 35, 65, (7, 9)], {"told": 5}),
        ([(0, 1), 35, (4, 5), 75, (8, 9)], {"told": 4}),
        ([(0, 3), 65, (3, 9)], {"duplicated": 1}),
        ([(0, 3), 65, (7, 9), (4, 5)], {"told": 1, "reordered": 2}),
    ],
)
def test_only_what_was_sent_before_it_was_told_may_be_missing(
    steps: list[tuple[int, int] | int], expected: dict[str, int]
) -> None:
    """Message n is sent at n * 10; from the notice on, everything has to come."""
    assert counts(resumed(*steps)) == expected


def test_who_comes_back_after_a_notice_is_not_taken_for_told() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, (0, 1))
    who.tell(25)
    receive(checker, who, 0, (3, 3))
    who.leave()
    who.join(65)
    receive(checker, who, 0, (7, 9))
    assert counts(finish(checker, who, 10)) == {"told": 1, "missed": 3}

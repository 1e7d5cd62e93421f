"""What an outage excuses."""

from __future__ import annotations

import time

import pytest

from tests.harness.history import Label, labelled
from tests.harness.outage import Outage


@pytest.fixture
def outage() -> Outage:
    """One that one client met after three messages, and another one after the first of them."""
    histories = [[labelled("a", 0), labelled("a", 1), labelled("b", 0)], [labelled("a", 0)]]
    return Outage(histories)


@pytest.mark.parametrize(
    ("client", "label", "excused"),
    [
        (0, Label("a", 0), False),
        (0, Label("a", 1), False),
        (0, Label("a", 2), True),
        (0, Label("b", 0), False),
        (0, Label("b", 1), True),
        (1, Label("a", 0), False),
        (1, Label("a", 1), True),
        (1, Label("b", 0), True),
    ],
)
def test_what_was_sent_before_may_be_lost_unless_a_later_one_had_arrived(
    outage: Outage, client: int, label: Label, excused: bool
) -> None:
    assert outage.excuses(client, label, outage.began - 0.001) is excused
    assert outage.excuses(client, label, outage.began - 3600) is excused


def test_everything_that_is_sent_meanwhile_may_be_lost_and_nothing_afterwards(outage: Outage) -> None:
    assert outage.excuses(0, Label("a", 7), outage.began)
    outage.end()
    assert outage.excuses(0, Label("a", 7), outage.began)
    assert not outage.excuses(0, Label("a", 8), time.monotonic() + 0.001)

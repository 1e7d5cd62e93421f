"""What a client gets of the messages before."""

from __future__ import annotations

import pytest

from relay.brokers.history import MAX_PAGE
from relay.message import PositionedMessage
from relay.position import Position
from relay.replay import MAX_NEWEST, Replay

SIZES = [5, 1, 3, 2]


@pytest.mark.parametrize(
    ("most", "kept"),
    [(100, SIZES), (11, SIZES), (10, [1, 3, 2]), (6, [1, 3, 2]), (5, [3, 2]), (4, [2]), (2, [2]), (1, [2])],
)
def test_the_newest_that_fit_are_left_and_one_at_least(most: int, kept: list[int]) -> None:
    messages = [PositionedMessage("a", b"x" * size, position=Position("e", n)) for n, size in enumerate(SIZES, 1)]
    cut = Replay(Position("e", 4), messages).cut(most)
    assert [len(message.payload) for message in cut.messages] == kept
    assert (cut.position, cut.start) == (Position("e", 4), Position("e", len(SIZES) - len(kept)))


def test_a_replay_without_messages_stays() -> None:
    assert Replay(Position("e", 4)).cut(1) == Replay(Position("e", 4))


def test_one_reading_gives_the_newest_messages_of_any_client() -> None:
    assert MAX_NEWEST <= MAX_PAGE

"""Long lists are worked through in pieces."""

from __future__ import annotations

import asyncio

import pytest

from relay.clients.pieces import in_pieces


class Clock:
    """A clock that each look at it takes on."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return float(self.looks)


async def others(had: list[str]) -> None:
    """Note each turn that others have."""
    while True:
        had.append("turn")
        await asyncio.sleep(0)


async def work_through(count: int, piece_seconds: float) -> list[str]:
    """Work through a list; return what was done meanwhile, in order."""
    had: list[str] = []
    task = asyncio.create_task(others(had))

    def work(item: int) -> int:
        had.append("item")
        return item

    found = await in_pieces(range(count), work, piece_seconds=piece_seconds, clock=Clock())
    task.cancel()
    assert found == list(range(count))
    return had


async def test_a_short_list_is_done_at_once() -> None:
    assert await work_through(3, 10.0) == ["item"] * 3
    assert await work_through(0, 10.0) == []


async def test_others_have_their_turn_between_the_pieces_of_a_long_one() -> None:
    had = await work_through(10, 4.0)
    assert had.count("turn") >= 2
    longest = max(len(piece.split()) for piece in " ".join(had).split("turn"))
    assert longest <= 4, "seconds, of which each look at the clock takes one"


async def test_what_fails_ends_it() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_pieces([1, 0, 2], lambda item: 1 // item)

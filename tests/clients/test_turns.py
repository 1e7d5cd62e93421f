"""Whose frames are taken in when."""

from __future__ import annotations

import asyncio

import pytest

from relay.clients.turns import (
    FRAMES_PER_TICK,
    FRAMES_PER_TURN,
    FRAMES_PER_TURN_OF_MANY,
    SECONDS_PER_TICK,
    Turns,
)


class Flooder:
    """A connection with some frames to take in."""

    def __init__(self, name: str, frames: int, turns: Turns, taken: list[str]) -> None:
        self.name = name
        self.frames = frames
        self.turns = turns
        self.taken = taken

    def go_on(self) -> int:
        frames = min(self.frames, self.turns.frames)
        self.frames -= frames
        self.taken.append(self.name)
        if self.frames:
            self.turns.add(self)
        return frames


async def test_those_who_wait_take_turns_and_between_ticks_everything_else_goes_on() -> None:
    turns, taken = Turns(asyncio.get_running_loop(), lambda: 0.0), list[str]()
    flooders = [Flooder(f"f{n}", 1000, turns, taken) for n in range(100)]
    for flooder in flooders:
        turns.add(flooder)
        turns.add(flooder)
    ticks = 0
    while len(turns):
        before = sum(flooder.frames for flooder in flooders)
        await asyncio.sleep(0)
        done = before - sum(flooder.frames for flooder in flooders)
        assert 0 < done <= FRAMES_PER_TICK + FRAMES_PER_TURN_OF_MANY
        ticks += 1
    assert ticks >= 100 * 1000 // (FRAMES_PER_TICK + FRAMES_PER_TURN_OF_MANY)
    assert taken[:100] == taken[100:200] == [f"f{n}" for n in range(100)]


async def test_turns_are_short_only_while_others_wait() -> None:
    turns = Turns(asyncio.get_running_loop())
    assert turns.frames == FRAMES_PER_TURN
    turns.add(Flooder("f", 1, turns, []))
    assert turns.frames == FRAMES_PER_TURN_OF_MANY
    await asyncio.sleep(0)
    assert turns.frames == FRAMES_PER_TURN


async def test_connections_that_can_not_go_on_do_not_hold_the_tick() -> None:
    turns, taken = Turns(asyncio.get_running_loop(), lambda: 0.0), list[str]()
    flooders = [Flooder(f"f{n}", 0, turns, taken) for n in range(2 * FRAMES_PER_TICK)]
    for flooder in flooders:
        turns.add(flooder)
    await asyncio.sleep(0)
    assert len(taken) == FRAMES_PER_TICK
    await asyncio.sleep(0)
    assert not len(turns)


async def test_turns_that_take_long_end_the_tick_before_all_its_frames_are_taken() -> None:
    now = 0.0
    turns, taken = Turns(asyncio.get_running_loop(), lambda: now), list[str]()

    class SlowFlooder(Flooder):
        def go_on(self) -> int:
            nonlocal now
            now += SECONDS_PER_TICK / 3
            return super().go_on()

    for number in range(10):
        turns.add(SlowFlooder(f"f{number}", 1, turns, taken))
    await asyncio.sleep(0)
    assert taken == ["f0", "f1", "f2"]
    await asyncio.sleep(0)
    assert len(taken) == 6


async def test_a_mistake_in_one_turn_does_not_end_those_of_others(caplog: pytest.LogCaptureFixture) -> None:
    turns, taken = Turns(asyncio.get_running_loop()), list[str]()
    broken, sound = Flooder("broken", 1, turns, taken), Flooder("sound", 1, turns, taken)
    broken.go_on = lambda: 1 // 0  # type: ignore[method-assign]
    turns.add(broken)
    turns.add(sound)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert taken == ["sound"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_stop_ends_all_turns() -> None:
    turns, taken = Turns(asyncio.get_running_loop()), list[str]()
    turns.add(Flooder("f", 1, turns, taken))
    turns.stop()
    await asyncio.sleep(0)
    assert not taken

"""The fuzzer in this process: gateways that take in generations of inputs, and the search for the input at fault."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.fuzz.case import Case
from tests.fuzz.grammar import Generator
from tests.fuzz.variants import VARIANTS
from tests.fuzz.virtual_clock import VirtualClockLoop
from tests.fuzz.world import Fault, World

GENERATION: Final = 500
"""Inputs between two rests, in which all deadlines pass. Connections that are silent stay until then."""

GENERATIONS_PER_WORLD: Final = 4
"""Then the next gateway comes, of another kind."""

MAX_PARTS: Final = 16
"""Into how many parts the inputs of a generation are divided at most when the ones at fault are looked for."""


@dataclass(slots=True)
class Result:
    """What came of a run.

    Args:
        inputs: how many were tried, by target.
        fault: what the gateway did wrong; None: nothing.
        cases: the inputs that bring it about, as few as were found.
        variant: number of the kind of gateway.
    """

    inputs: Counter[str] = field(default_factory=Counter)
    fault: str | None = None
    cases: Sequence[Case] = ()
    variant: int = 0


def fuzz(
    generator: Generator,
    going: Callable[[int], bool],
    progress: Callable[[int], None],
    generation: int = GENERATION,
) -> Result:
    """Try inputs until there is a fault.

    Args:
        generator: makes the inputs.
        going: tells by the number of inputs so far whether to go on.
        progress: is told that number now and then.
        generation: see `GENERATION`.
    """
    result = Result()
    while result.fault is None and going(result.inputs.total()):
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            runner.run(_one_world(generator, going, result, generation))
        if result.fault is None:
            result.variant = (result.variant + 1) % len(VARIANTS)
            progress(result.inputs.total())
    if len(result.cases) > 1:
        result.cases = _fewest(result.cases, result.variant)
    return result


def replay(cases: Sequence[Case], variant: int) -> str | None:
    """Try inputs in a fresh gateway; return its fault, if there is one."""

    async def play() -> str | None:
        try:
            async with World(VARIANTS[variant]) as world:
                await world.warm_up()
                for case in cases:
                    await world.try_case(case)
                await world.rest()
        except Fault as fault:
            return str(fault)
        return None

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(play())


async def _one_world(generator: Generator, going: Callable[[int], bool], result: Result, generation: int) -> None:
    tried: list[Case] = []
    variant = VARIANTS[result.variant]
    try:
        async with World(variant) as world:
            await world.warm_up()
            for _ in range(GENERATIONS_PER_WORLD):
                if not going(result.inputs.total()):
                    break
                tried.clear()
                for case in generator.make(generation, variant.target):
                    tried.append(case)
                    result.inputs[case.target] += 1
                    await world.try_case(case)
                await world.rest()
    except Fault as fault:
        result.fault, result.cases = str(fault), tried


def _fewest(cases: Sequence[Case], variant: int) -> Sequence[Case]:
    """Return as few of some inputs as still bring about a fault; all of them when nothing less does."""
    if replay(cases[-1:], variant) is not None:
        return cases[-1:]
    if replay(cases, variant) is None:
        return cases  # it takes what came before them
    parts = 2
    while len(cases) > 1 and parts <= MAX_PARTS:
        size = -(-len(cases) // parts)
        pieces = [cases[start : start + size] for start in range(0, len(cases), size)]
        rests = [[case for other in pieces if other is not piece for case in other] for piece in pieces]
        smaller = next((some for some in (*pieces, *rests) if len(some) < len(cases) and replay(some, variant)), None)
        if smaller is None:
            parts *= 2
        else:
            cases, parts = smaller, 2
    return cases

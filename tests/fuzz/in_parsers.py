"""The fuzzer of the pure parsers: each input is read by one of them, and by no gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.fuzz.case import Case
from tests.fuzz.in_process import Result
from tests.fuzz.parsers import PARSERS
from tests.fuzz.parsers.batches import BATCH, Batch, Batches, pieces_of
from tests.fuzz.parsers.judge import allowed_calls, count_calls, judge
from tests.fuzz.parsers.parser import Parser

COUNTED: Final = 250
"""Of so many inputs, the calls of one are counted; it takes ten times as long."""

SECONDS: Final = 0.002
SECONDS_PER_BYTE: Final = 20e-6
"""Of the processor, for an input, on average over a batch: tens of times what is usual, as machines differ."""


def fuzz_parsers(
    seed: int,
    names: Sequence[str],
    going: Callable[[int], bool],
    progress: Callable[[int], None],
    batch: int = BATCH,
    parsers: Mapping[str, Parser] = PARSERS,
) -> Result:
    """Let parsers read inputs until there is a fault.

    Args:
        seed: of the inputs.
        names: of the parsers.
        going: tells by the number of inputs so far whether to go on.
        progress: is told that number now and then.
        batch: how many inputs of one parser come at a time.
        parsers: by their names.
    """
    batches = Batches(seed, {name: parsers[name] for name in names})
    result = Result()
    while result.fault is None and going(result.inputs.total()):
        made = batches.next(batch)
        _try_batch(parsers[made.name], made, result)
        progress(result.inputs.total())
    return result


def replay_in_parser(case: Case, parsers: Mapping[str, Parser] = PARSERS) -> str | None:
    """Let a parser read an input again; return its fault, if there is one."""
    parser = parsers[case.target]
    return judge(parser, case.data, pieces_of(case.data, case.cuts)) or _fault_of_work(parser, case.data)


def _try_batch(parser: Parser, batch: Batch, result: Result) -> None:
    began, size = time.process_time(), 0
    for number, (data, cuts) in enumerate(batch.inputs):
        size += len(data)
        fault = judge(parser, data, pieces_of(data, cuts))
        if fault is None and number % COUNTED == 0:
            fault = _fault_of_work(parser, data)
        if fault is not None:
            result.inputs[batch.name] += number + 1
            result.fault, result.cases = f"the parser {batch.name}: {fault}", [Case(batch.name, data, cuts)]
            return
    result.inputs[batch.name] += len(batch.inputs)
    spent, allowed = time.process_time() - began, SECONDS * len(batch.inputs) + SECONDS_PER_BYTE * size
    if spent > allowed:
        result.fault = f"the parser {batch.name}: {len(batch.inputs)} inputs of {size} bytes take {spent:.1f} s"
        result.cases = [Case(batch.name, data, cuts) for data, cuts in batch.inputs]


def _fault_of_work(parser: Parser, data: bytes) -> str | None:
    calls = count_calls(parser, data)
    return f"{calls} calls for {len(data)} bytes" if calls > allowed_calls(data) else None

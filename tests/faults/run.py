"""One run: a stack, clients of all kinds, faults, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from redis.exceptions import RedisError

from tests.faults.clients.crowd import Crowd
from tests.faults.clients.probe import ReadinessProbe
from tests.faults.clients.roll_call import ask_who_is_here
from tests.faults.injections.injection import Injection, Scene
from tests.faults.injections.schedule import ALL, Schedule
from tests.faults.leftovers import Leftovers
from tests.faults.load import BULK, NAMESPACES, ROOMS, Load
from tests.faults.operations import Finished, History, Keeps, Setup
from tests.faults.recorder import Recorder
from tests.faults.stack.place import GAP_SECONDS
from tests.faults.stack.stack import KINDS, Stack

BACK_SECONDS: Final = 10.0
"""After the last fault everything is back, and gateways are watched for so long at least."""

LONGEST_SECONDS: Final = 30.0
"""A fault lasts no longer, and no longer than a fourth of a run."""


@dataclass(slots=True)
class Run:
    """What came of a run.

    Args:
        seed: of its faults.
        load: its clients.
        history: everything that happened.
        skipped: kinds of faults that can't be had on this machine, with the reason.
        trouble: what else was wrong, in words: gateways that complain, or clients that don't come back.
    """

    seed: int
    load: Load
    history: History
    skipped: dict[str, str] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)


async def run(
    seconds: float,
    seed: int,
    load: Load,
    *,
    kinds: Sequence[Injection] = ALL,
    command: Sequence[str] = (),
    folder: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Run:
    """Run for so many seconds of faults, and some more to come to rest.

    Times that are told are seconds since the first operation.

    Args:
        seconds: how long faults are injected.
        seed: chooses them.
        load: the clients.
        kinds: of faults.
        command: see `Stack`.
        folder: where the logs of gateways are left, which is there; None: nowhere.
        tell: told what happens, in lines.
    """
    recorder = Recorder()
    outcome = Run(seed, load, recorder.history)
    recorder.note(_setup(recorder, seed, load))
    async with Stack(command) as stack:
        leftovers = Leftovers(stack, recorder)
        await leftovers.begin()
        try:
            async with Crowd(load, stack.places, stack.redis, recorder, Random(seed)) as crowd:
                scene = Scene(stack, crowd, min(LONGEST_SECONDS, seconds / 4))
                schedule = Schedule(seed, scene, recorder, kinds, tell)
                outcome.skipped = schedule.skipped
                for kind, reason in schedule.skipped.items():
                    tell(f"SKIPPED {kind}: {reason}")
                async with _watched(stack, recorder):
                    await schedule.run(seconds)
                    await _come_to_rest(stack, crowd, recorder)
            await leftovers.compare()
        except (AssertionError, OSError, EOFError, RedisError) as error:
            outcome.trouble.append(f"the run has ended before its time: {error!r}")
        outcome.trouble += await stack.stop_gateways()
        if folder is not None:
            for place in stack.places:
                place.leave_logs(folder)
    return outcome


def _setup(recorder: Recorder, seed: int, load: Load) -> Setup:
    return Setup(
        at=recorder.now(),
        seed=seed,
        channels={channel: _keeps(channel) for channel in [*load.names, *BULK, *ROOMS]},
        gateways=len(KINDS),
        gap_seconds=GAP_SECONDS,
    )


def _keeps(channel: str) -> Keeps:
    options = NAMESPACES.get(channel.partition(":")[0], {})
    return "history" if "history_size" in options else "positions" if options else "plain"


def _watched(stack: Stack, recorder: Recorder) -> AsyncExitStack:
    """Watch the readiness of all gateways meanwhile."""
    watched = AsyncExitStack()
    for place in stack.places:
        task = asyncio.create_task(ReadinessProbe(place, recorder).run())
        watched.push_async_callback(_cancel, task)
    return watched


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _come_to_rest(stack: Stack, crowd: Crowd, recorder: Recorder) -> None:
    """Let everything heal, and everybody get the last messages."""
    healed_at = recorder.now()
    stack.heal_networks()
    await stack.all_ready()
    await crowd.all_listen()
    # Those that are closed for the last gap come back; nobody may be away for the last messages.
    await asyncio.sleep(max(GAP_SECONDS, healed_at + BACK_SECONDS - recorder.now()))
    await crowd.all_listen()
    await crowd.stop_publishing()
    await crowd.say_last_words()
    recorder.note(Finished(at=recorder.now()))
    await asyncio.gather(*(ask_who_is_here(stack, crowd, channel, recorder) for channel in ROOMS))

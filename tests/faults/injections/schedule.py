"""Faults of all kinds in an order that a seed repeats, some of them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final

from tests.faults.injections import gateways, networks, readers, redis_limits, redis_processes
from tests.faults.injections.injection import Family, Injection, Scene
from tests.faults.operations import Fault
from tests.faults.recorder import Recorder

ALL: Final = (
    *gateways.INJECTIONS,
    *redis_processes.INJECTIONS,
    *redis_limits.INJECTIONS,
    *networks.INJECTIONS,
    *readers.INJECTIONS,
)
"""All kinds of faults."""

PAUSE_SECONDS: Final = (0.0, 2.0)
"""Between two faults."""

TOGETHER: Final = 0.3
"""How likely it is that a fault does not wait for the end of the one before."""


def deck(random: Random, kinds: Sequence[Injection]) -> Iterator[Injection]:
    """Yield kinds of faults without end: all of them in random order, then all again."""
    while True:
        yield from random.sample(kinds, len(kinds))


class Schedule:
    """Injects one fault after the other, until its time is over.

    Args:
        seed: chooses all.
        scene: where they happen.
        recorder: where they are noted, when they are healed.
        kinds: those to choose from.
        tell: told of each fault when it is healed, in words.

    Attributes:
        skipped: kinds that can't be had on this machine, with the reason.
    """

    def __init__(
        self, seed: int, scene: Scene, recorder: Recorder, kinds: Sequence[Injection], tell: Callable[[str], None]
    ) -> None:
        self._seed = seed
        self._scene = scene
        self._recorder = recorder
        self._tell = tell
        self._running: dict[Family, asyncio.Task[None]] = {}
        self.skipped = {kind.kind: reason for kind in kinds if (reason := kind.unavailable())}
        self._kinds = [kind for kind in kinds if kind.kind not in self.skipped]

    async def run(self, seconds: float) -> None:
        """Inject faults for so long, and return when the last one is healed."""
        random = Random(self._seed)
        until = self._recorder.now() + seconds
        try:
            for number, injection in enumerate(deck(random, self._kinds)):
                together = random.random() < TOGETHER
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
                busy = self._running.values() if not together else filter(None, [self._running.get(injection.family)])
                await self._ended([*busy])
                if self._recorder.now() >= until:
                    break
                # Its own chance: what one fault draws changes nothing for those after it.
                task = asyncio.create_task(self._inject(injection, Random(f"{self._seed} {number}")))
                self._running[injection.family] = task
        finally:
            await self._ended([*self._running.values()])

    async def _inject(self, injection: Injection, random: Random) -> None:
        began = self._recorder.now()
        detail, gateway = await injection.inject(self._scene, random)
        ended = self._recorder.now()
        self._recorder.note(
            Fault(at=began, kind=injection.kind, detail=detail, ended=ended, forgets=injection.forgets, gateway=gateway)
        )
        spell = f"{began - self._recorder.began:8.2f} to {ended - self._recorder.began:8.2f} s"
        self._tell(f"{spell}  {injection.kind}: {detail}")

    @staticmethod
    async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            await task

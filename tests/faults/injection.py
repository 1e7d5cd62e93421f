"""Faults of a bus and of gateways, in a random order that a seed repeats."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from tests.faults.slot import Slot
from tests.faults.witness import Witness
from tests.harness.redis_server import RedisServer

USER, PASSWORD = "relay", "secret"
RIGHTS = ("&*", "~*", "+@all")

LONGEST_PAUSE_SECONDS = 2.0
"""Between two faults."""

REFUSALS = (
    ("resetchannels",),
    ("resetchannels", "&relay:[^a-z]*", "&relay:one"),
    ("-publish",),
    ("-ping",),
    ("-subscribe",),
)
"""What Redis may take away from gateways, as ACL rules: all channels, one of two, single commands."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done.

    Args:
        began: monotonic time.
        ended: monotonic time.
        what: in words.
    """

    began: float
    ended: float
    what: str


class Faults:
    """Injects one fault after the other, some with a gateway's drain in the middle.

    Args:
        random: chooses.
        redis: the bus; gateways are its user `USER`.
        witness: listens there.
        slots: of the gateways, each behind a proxy of its own.

    Attributes:
        done: faults so far.
    """

    def __init__(self, random: Random, redis: RedisServer, witness: Witness, slots: list[Slot]) -> None:
        self._random = random
        self._redis = redis
        self._witness = witness
        self._slots = slots
        self._draining: asyncio.Task[None] | None = None
        self.done: list[Fault] = []

    async def inject(self) -> None:
        """Inject a fault after a while, and heal it."""
        kinds: tuple[Callable[[], Awaitable[str]], ...] = (
            self._pause_redis,
            self._restart_redis,
            self._kill_links,
            self._cut,
            self._black_hole,
            self._refuse,
            self._freeze_gateway,
            self._drain,
        )
        await asyncio.sleep(self._random.uniform(0, LONGEST_PAUSE_SECONDS))
        began = time.monotonic()
        what = await self._random.choice(kinds)()
        if self._draining is not None:
            await self._draining
            self._draining = None
        self.done.append(Fault(began, time.monotonic(), what))

    async def allow_user(self) -> None:
        """Let gateways log in; a Redis that was restarted doesn't know them."""
        await asyncio.to_thread(self._redis.add_user, USER, PASSWORD, " ".join(RIGHTS))

    async def _last(self, longest: float) -> str:
        """Let a fault last; sometimes a gateway drains meanwhile. Return what to say of it."""
        seconds = self._random.uniform(0.1, longest)
        if self._random.random() < 0.3:
            slot = self._random.choice(self._slots)
            before = self._random.uniform(0, seconds)
            await asyncio.sleep(before)
            self._draining = asyncio.create_task(slot.replace())
            await asyncio.sleep(seconds - before)
            return f"for {seconds:.1f} s, gateway {slot.number} drains after {before:.1f} s"
        await asyncio.sleep(seconds)
        return f"for {seconds:.1f} s"

    async def _pause_redis(self) -> str:
        self._redis.pause()
        try:
            return f"Redis pauses {await self._last(8)}"
        finally:
            self._redis.resume()

    async def _restart_redis(self) -> str:
        await asyncio.to_thread(self._redis.kill)
        try:
            return f"Redis restarts, and is away {await self._last(8)}"
        finally:
            await asyncio.to_thread(self._redis.start)
            await self._witness.listen()
            await self.allow_user()

    async def _kill_links(self) -> str:
        kind = self._random.choice(("pubsub", "normal"))
        times = self._random.randint(1, 3)
        for _ in range(times):
            await asyncio.to_thread(self._redis.kill_clients, kind, USER)
            await asyncio.sleep(self._random.uniform(0, 0.5))
        return f"Redis kills {kind} links, {times} times"

    async def _cut(self) -> str:
        slot = self._random.choice(self._slots)
        slot.proxy.cut()
        return f"gateway {slot.number} loses its links"

    async def _black_hole(self) -> str:
        slot = self._random.choice(self._slots)
        hole = self._random.choice(("black_hole", "mute", "deaf"))
        setattr(slot.proxy, hole, True)
        try:
            return f"links of gateway {slot.number}: {hole} {await self._last(8)}"
        finally:
            setattr(slot.proxy, hole, False)

    async def _refuse(self) -> str:
        rules = self._random.choice(REFUSALS)
        await asyncio.to_thread(self._redis.allow, USER, *rules)
        try:
            return f"Redis refuses ({' '.join(rules)}) {await self._last(4)}"
        finally:
            await asyncio.to_thread(self._redis.allow, USER, *RIGHTS)

    async def _freeze_gateway(self) -> str:
        slot = self._random.choice(self._slots)
        seconds = self._random.uniform(0.1, 6)
        process = slot.process
        process.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            process.signal(signal.SIGCONT)
        return f"gateway {slot.number} freezes for {seconds:.1f} s"

    async def _drain(self) -> str:
        slot = self._random.choice(self._slots)
        await slot.replace()
        return f"gateway {slot.number} drains"

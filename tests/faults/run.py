"""One run: a Redis, two gateways, clients of all kinds, and faults."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.crowd import Crowd
from tests.faults.injection import PASSWORD, USER, Fault, Faults
from tests.faults.record import Record
from tests.faults.slot import Slot
from tests.faults.verdict import Verdict, judge
from tests.faults.witness import Witness
from tests.harness.conditions import ConditionTimeout
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import end
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer
from tests.harness.tcp_proxy import TcpProxy

HEAL_SECONDS = 30.0
"""How long after the last fault all gateways may take to be ready."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Args:
        seed: repeats its faults.
        began: monotonic time.
        faults: what was done.
        record: what was seen.
        verdict: what that proves.
        trouble: what else was wrong, in words.
    """

    seed: int
    began: float
    faults: list[Fault]
    record: Record
    verdict: Verdict
    trouble: list[str]

    def __bool__(self) -> bool:
        """Return whether the relay has kept what it promises."""
        return bool(self.verdict) and not self.trouble


async def run(seconds: float, seed: int, folder: Path | None = None) -> Outcome:
    """Run, and judge.

    Args:
        seconds: how long faults are injected.
        seed: chooses them.
        folder: where the logs of the gateways are left; None: nowhere.
    """
    record, trouble = Record(), list[str]()
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        slots: list[Slot] = []
        witness = await stack.enter_async_context(Witness(redis, record))
        faults = Faults(Random(seed), redis, witness, slots)
        await faults.allow_user()
        for number, event_loop in enumerate(EVENT_LOOPS):
            proxy = await stack.enter_async_context(TcpProxy(redis.port))
            address = f"redis://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"
            slots.append(Slot(number, proxy, broker_url=address, event_loop=event_loop))
        stack.callback(lambda: end(process for slot in slots for process in slot.processes))
        await asyncio.gather(*(slot.start_ready() for slot in slots))
        async with Crowd(slots, record) as crowd:
            began = time.monotonic()
            try:
                while time.monotonic() < began + seconds:
                    await faults.inject()
                await all_told_ready([slot.process for slot in slots], within=HEAL_SECONDS)
                await crowd.finish()
            except (ConditionTimeout, OSError, EOFError) as error:
                trouble.append(f"after the last fault: {error}")
        for slot in slots:
            record.gaps += slot.gaps()
            if folder is not None:
                slot.leave_logs(folder)
            trouble += slot.complaints()
    return Outcome(seed, began, faults.done, record, judge(record), trouble)

"""The fuzzer against real processes: two gateways, one for each event loop, over a real Redis, with healthy clients."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tests.fuzz.case import Case
from tests.fuzz.conversation import Conversation
from tests.fuzz.grammar import Generator, is_connection
from tests.fuzz.grammar.http import API_KEY, CHANNELS
from tests.harness.conditions import ConditionTimeout, wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import GatewayProcess, Setting, end, launch
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient

CROWD: Final = 300
"""Connections at a time; many are silent until a deadline ends them."""

WARM_UP: Final = 1000
"""Inputs after which a gateway has filled its caches, and its memory is measured."""

GROWTH_BYTES: Final = 16 * 1024 * 1024
"""What may be left in memory after that: the allocator gives it back in large pieces."""

SPEAK_SECONDS: Final = 0.05

SETTINGS: Final[dict[str, Setting]] = {
    "trusted_proxies": "127.0.0.0/8",
    "handshake_timeout": 3,
    "keepalive_timeout": 4,
    "ping_interval": 5,
    "ping_timeout": 2,
    "write_timeout": 3,
    "api_keys": API_KEY,
}


@dataclass(slots=True)
class TcpResult:
    """What came of a run.

    Args:
        inputs: how many were tried, by target.
        faults: what the gateways did wrong, in words.
        recent: the last inputs; one of them may be to blame for what a log says.
    """

    inputs: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    recent: deque[Case] = field(default_factory=lambda: deque(maxlen=2 * CROWD))


async def fuzz_over_tcp(generator: Generator, going: Callable[[int], bool]) -> TcpResult:
    """Try inputs until there is a fault.

    Args:
        generator: makes the inputs.
        going: tells by the number of inputs so far whether to go on.
    """
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer()) if shutil.which("redis-server") else None
        bus: dict[str, Setting] = {} if redis is None else {"broker_url": redis.url}
        loops = EVENT_LOOPS[: 1 if redis is None else None]
        gateways = [GatewayProcess(event_loop=event_loop, **{**SETTINGS, **bus}) for event_loop in loops]
        result = TcpResult()
        stack.callback(_end, gateways, result)
        await launch(*gateways)
        healthy = []
        for gateway in gateways:
            healthy.append(await WebSocketClient.connect(f"{gateway.url}/ws/a-healthy-one?echo=1"))
            stack.push_async_callback(healthy[-1].abort)
        run = _Run(gateways, redis, healthy, result)
        await run.attack(generator, going)
        await run.look()
    return result


def _end(gateways: Sequence[GatewayProcess], result: TcpResult) -> None:
    """Stop the gateways, which must go quietly unless it is known that something is wrong."""
    if result.faults:
        for gateway in gateways:
            gateway.close()
        return
    try:
        end(gateways)
    except AssertionError as error:
        result.faults.append(f"at the end of a gateway: {error}")


class _Run:
    """One run.

    Args:
        gateways: that are attacked.
        redis: their bus; None: there is one gateway alone.
        healthy: a client of each gateway.
        result: where everything is noted.
    """

    def __init__(
        self,
        gateways: Sequence[GatewayProcess],
        redis: RedisServer | None,
        healthy: Sequence[WebSocketClient],
        result: TcpResult,
    ) -> None:
        self.result = result
        self._gateways = gateways
        self._redis = redis
        self._healthy = healthy
        self._descriptors = [gateway.descriptors for gateway in gateways]
        self._memory = [0 for _ in gateways]
        self._crowd = asyncio.Semaphore(CROWD)
        self._publishing = asyncio.Lock()
        self._spoken = 0
        self._attacking = True

    async def attack(self, generator: Generator, going: Callable[[int], bool]) -> None:
        """Try inputs, while the healthy clients talk, until all connections have ended."""
        result, turns = self.result, itertools.cycle(self._gateways)
        async with asyncio.TaskGroup() as group:
            talk = group.create_task(self._talk())
            async with asyncio.TaskGroup() as conversations:
                while not result.faults and going(result.inputs.total()):
                    for case in generator.make(20):
                        await self._crowd.acquire()
                        conversations.create_task(self._try(case, next(turns).port))
                        result.inputs[case.target] += 1
                    if result.inputs.total() == WARM_UP:
                        self._memory = [gateway.rss_bytes for gateway in self._gateways]
            self._attacking = False
            await talk

    async def look(self) -> None:
        """Find out whether all is as it was before."""
        faults = self.result.faults
        for number, gateway in enumerate(self._gateways):
            try:
                await wait_until(partial(self._is_as_before, number))
            except ConditionTimeout:
                descriptors = f"{gateway.descriptors} descriptors, not {self._descriptors[number]}"
                faults.append(f"left behind: {descriptors}; {gateway.rss_bytes} bytes, not {self._memory[number]}")
            faults += gateway.complaints()
            faults += [f"log entry: {record}" for record in gateway.records() if record.get("level") == "error"]
        said = [f"{speaker} {number}" for number in range(1, self._spoken + 1) for speaker in range(len(self._healthy))]
        for client in self._healthy:
            try:
                await client.receive(len(said))
            except ConditionTimeout as error:
                faults.append(f"a healthy client misses messages: {error}")
                continue
            if sorted(client.received, key=str) != sorted(said):
                faults.append(f"a healthy client has heard something else: {client!r}")

    def _is_as_before(self, number: int) -> bool:
        gateway, memory = self._gateways[number], self._memory[number]
        if gateway.descriptors > self._descriptors[number]:
            return False
        return not memory or gateway.rss_bytes <= memory + GROWTH_BYTES

    async def _talk(self) -> None:
        """Let each healthy client say a number now and then."""
        while self._attacking:
            self._spoken += 1
            for speaker, client in enumerate(self._healthy):
                await client.send(f"{speaker} {self._spoken}")
            await asyncio.sleep(SPEAK_SECONDS)

    async def _try(self, case: Case, port: int) -> None:
        """Try one input, and give up its place in the crowd."""
        try:
            self.result.recent.append(case)
            if is_connection(case.target):
                if fault := await Conversation(port, case).run():
                    self.result.faults.append(fault)
            elif self._redis is not None:
                channel = "relay: control" if case.target == "command" else f"relay:{CHANNELS[0]}"
                async with self._publishing:
                    await asyncio.to_thread(self._redis.admin.publish, channel, case.data)
        finally:
            self._crowd.release()

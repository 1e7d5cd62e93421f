"""A small deployment: one Redis and two gateways, one for each event loop."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.outage import STAYING
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer

EVENT_LOOPS = ["uvloop", "asyncio"]


class Deployment:
    """A Redis that may be killed and paused, and two gateways that keep their clients then. A context manager.

    Attributes:
        redis: the bus.
        gateways: the first runs on uvloop, the second on asyncio.
    """

    def __init__(self) -> None:
        self.redis = RedisServer()
        self.gateways: list[GatewayProcess] = []

    def __enter__(self) -> Self:
        self.redis.start()
        self.gateways = [GatewayProcess(broker_url=self.redis.url, event_loop=loop, **STAYING) for loop in EVENT_LOOPS]
        for gateway in self.gateways:
            gateway.start_blocking()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            end(self.gateways)
        finally:
            self.redis.close()

    async def heal(self) -> None:
        """Bring Redis back when it is away, and wait until both gateways are ready."""
        if self.redis.running:
            self.redis.resume()
        else:
            self.redis.start()
        await all_told_ready(self.gateways)

    def count(self, event: str) -> list[int]:
        """Return how often each gateway has logged an event."""
        return [len(gateway.records(event)) for gateway in self.gateways]

    def urls(self, channel: str) -> list[str]:
        """Return the address of a channel on each gateway."""
        return [f"{gateway.url}/ws/{channel}" for gateway in self.gateways]

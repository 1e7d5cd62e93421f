"""All servers of a run: gateways of all kinds, and the Redis between them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.faults.stack.bus import Bus
from tests.faults.stack.clock import Clock, library
from tests.faults.stack.place import DOOR_BUFFER_BYTES, START_SECONDS, Place
from tests.harness.gateway_process import GatewayProcess, Setting
from tests.harness.http_response import get
from tests.harness.readiness import all_told_ready
from tests.harness.tcp_proxy import TcpProxy

KINDS: Final[Sequence[dict[str, Setting]]] = (
    {"event_loop": "asyncio"},
    {"event_loop": "uvloop"},
    {"event_loop": "uvloop", "workers": 2},
)
"""Settings of the gateways: one is of each kind."""


class Stack:
    """Three gateways and a Redis with a replica. An async context manager: when it is entered they are ready.

    Args:
        command: see `GatewayProcess.command`; a gateway that is started so has no workers.

    Attributes:
        bus: Redis.
        places: of the gateways.
        redis: address of Redis for programs.
    """

    redis: str

    def __init__(self, command: Sequence[str] = ()) -> None:
        self._command = command
        self._stack = AsyncExitStack()
        self.bus = Bus()
        self.places: list[Place] = []

    async def __aenter__(self) -> Self:
        try:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-faults-")))
            await self._stack.enter_async_context(self.bus)
            for number, settings in enumerate(KINDS):
                network, address = await self.bus.connect()
                door = await self._stack.enter_async_context(TcpProxy(buffer=DOOR_BUFFER_BYTES))
                clock = Clock(folder) if number == 0 and not self._command and library() else None
                given = {**settings, "workers": 1} if self._command else settings
                place = Place(number, network, door, self._kind(clock), clock, broker_url=address, **given)
                self.places.append(place)
            _, self.redis = await self.bus.connect()
            self._stack.callback(self._end)
            await asyncio.gather(*(place.start() for place in self.places))
            await self.all_ready()
            await self.bus.in_step()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def places_with_workers(self) -> list[Place]:
        """Those whose gateway has several processes."""
        return [place for place in self.places if place.has_workers]

    @property
    def places_with_clocks(self) -> list[Place]:
        """Those whose clock can jump."""
        return [place for place in self.places if place.clock is not None]

    async def all_ready(self) -> None:
        """Wait until all gateways say that they are ready."""
        await all_told_ready(self.places, within=START_SECONDS)

    async def stop_gateways(self) -> list[str]:
        """Let all gateways drain; return what was wrong with them, and with those before them."""
        await asyncio.gather(*(place.drain() for place in self.places))
        return [complaint for place in self.places for complaint in place.complaints()]

    async def page(self, place: Place) -> str:
        """Return the metrics of a gateway."""
        return (await get(place.port, "/metrics")).text

    def heal_networks(self) -> None:
        """End all that a fault may have left, should it have failed itself."""
        for network in (*self.bus.networks, self.bus.replication, *(place.door for place in self.places)):
            network.black_hole = network.mute = network.deaf = False
            network.slow_down()

    def _kind(self, clock: Clock | None) -> type[GatewayProcess]:
        class Gateway(GatewayProcess):
            command = self._command
            surroundings = clock.variables if clock else {}

        return Gateway

    def _end(self) -> None:
        for place in self.places:
            for process in place.processes:
                process.close()

"""The supervisor: starts the workers, replaces those that end, and ends them all together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from relay.clients.context import CLOSE_TIMEOUT_SECONDS
from relay.errors import RelayError
from relay.gateway.bus import bus_name
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.metrics.snapshot import Snapshot
from relay.settings import Settings
from relay.web.app import build_operators_app
from relay.web.listen_addresses import resolve_addresses
from relay.web.metrics_port import MetricsPort
from relay.workers.messages import Drain, End, Listening
from relay.workers.monitor import Survey
from relay.workers.reservation import Reservation
from relay.workers.watchdog import Watch
from relay.workers.worker import Ending, Worker

START_ATTEMPTS: Final = 3
"""How often a worker may fail to start, before all have started once, until the command gives up."""

PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 15.0
"""Before a worker is replaced: the first for one that has lived for a while, then twice as long each time."""

STEADY_SECONDS: Final = 30.0
"""A worker that has lived so long didn't fail because of how it was started."""

GRACE_SECONDS: Final = 10.0
"""What workers get on top of the time that their drain should take."""

LAST_RESORT_SECONDS: Final = 2.0
"""How long workers may take to end at once."""

log = Logger("relay.workers")


class WorkerFailed(RelayError):
    """A worker can't be started.

    Args:
        worker: its number.
        ending: of its last process.
    """

    def __init__(self, worker: int, ending: Ending) -> None:
        super().__init__(worker, ending)
        self.worker = worker
        self.ending = ending

    def __str__(self) -> str:
        return f"worker {self.worker} did not start, {START_ATTEMPTS} times in a row: {self.ending}"


class Supervisor:
    """Runs some workers until it is told to stop; runs once.

    Args:
        settings: of the gateway that they are together.
        count: of workers.
        command: that starts one; see `Worker`.
        started: called with the port once all have begun to listen.
    """

    def __init__(
        self,
        settings: Settings,
        count: int,
        command: Sequence[str],
        started: Callable[[int], None] = lambda port: None,
    ) -> None:
        self._started = started
        self._settings = settings
        self._count = count
        self._command = command
        self._survey = Survey()
        self._watch = Watch(settings.worker_timeout)
        # Filled by the workers: it is they who know their event loop.
        self._build: dict[str, str] = {}
        self._workers: list[Worker] = []
        self._to_start = set(range(1, count + 1))
        self._stopping = asyncio.Event()
        self._port = settings.port

    async def run(self, stop: asyncio.Event, end: asyncio.Event) -> bool:
        """Start the workers, and return when all have ended.

        Args:
            stop: set to drain them.
            end: set to end them at once, after `stop`.

        Returns:
            Whether each has ended as it was told.

        Raises:
            OSError: an address can't be listened on.
            WorkerFailed: they can't be started.
        """
        settings = self._settings
        found = await resolve_addresses(settings.host, settings.port)
        with Reservation(found.usable, settings.port) as reservation:
            self._port = reservation.port
            self._workers = [
                Worker(number, self._part(number), self._command, self._survey.whole)
                for number in range(1, self._count + 1)
            ]
            self._survey.workers = self._watch.workers = self._workers
            metrics_port = await self._open_metrics_port()
            helpers = [
                asyncio.create_task(work) for work in (self._survey.run(), self._watch.run(), self._end(stop, end))
            ]
            keepers = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
            try:
                return all(await asyncio.gather(*keepers))
            finally:
                for task in [*keepers, *helpers]:
                    if not task.cancelling():  # else it is about to end its process
                        task.cancel()
                await asyncio.gather(*keepers, *helpers, return_exceptions=True)
                if metrics_port is not None:
                    await metrics_port.close()

    def _part(self, number: int) -> Settings:
        """Return the settings of one worker: its part of the clients, of all that may connect."""
        most = self._settings.max_connections
        if most is not None:
            most = max(1, most // self._count + (number <= most % self._count))
        return self._settings.model_copy(update={"port": self._port, "max_connections": most})

    async def _keep(self, worker: Worker) -> bool:
        """Have a process in a worker's place until all are to stop; return whether the last one ended well."""
        failures = 0
        while True:
            ending = await worker.live(lambda report: self._listening(worker, report))
            self._survey.retire(worker)
            if self._stopping.is_set():
                if ending.code:
                    log.error("worker ended", worker=worker.number, why=str(ending))
                return ending.code == 0
            failures = 0 if ending.seconds >= STEADY_SECONDS else failures + 1
            if self._to_start and not ending.listened and failures >= START_ATTEMPTS:
                raise WorkerFailed(worker.number, ending)
            # Not all at once when what they need together has failed.
            pause = min(PAUSE_SECONDS * 2 ** max(0, failures - 1), LONGEST_PAUSE_SECONDS) * random.uniform(0.8, 1.2)
            log.error("worker ended", worker=worker.number, why=str(ending), again_in=round(pause, 2))
            try:
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                return True  # nothing is here to be drained
            except TimeoutError:
                self._survey.ended.counters.worker_restarts += 1

    def _listening(self, worker: Worker, report: Listening) -> None:
        self._build.update(report.build)
        if worker.number in self._to_start:
            self._to_start.remove(worker.number)
            if not self._to_start:
                log.info("all workers listen", workers=self._count, port=self._port)
                self._started(self._port)

    async def _end(self, stop: asyncio.Event, end: asyncio.Event) -> None:
        """Wait for the word to stop, and see to it that all workers do."""
        await stop.wait()
        self._stopping.set()
        settings = self._settings
        log.info("draining all workers", workers=self._count, seconds=settings.drain_seconds)
        for worker in self._workers:
            worker.order(Drain())
        # What was accepted is settled before the last clients are closed, and what they sent meanwhile after it. Once
        # the bus is asked whether all was heard.
        settling = 2 * max(settings.publish_timeout, settings.broker_timeout) + settings.broker_timeout
        expected = settings.drain_delay + settings.drain_seconds + CLOSE_TIMEOUT_SECONDS + settling
        try:
            async with asyncio.timeout(expected + GRACE_SECONDS):
                await end.wait()
        except TimeoutError:
            log.error("ending workers that did not drain in time", seconds=expected + GRACE_SECONDS)
        for worker in self._workers:
            worker.order(End())
        await asyncio.sleep(LAST_RESORT_SECONDS)
        for worker in self._workers:
            worker.kill()

    async def _open_metrics_port(self) -> MetricsPort | None:
        """Serve what operators ask for here, where no client and no hung worker is in the way."""
        settings = self._settings
        if settings.metrics_port is None:
            return None

        async def problems() -> list[str]:
            return (await self._survey.whole()).problems

        async def snapshot() -> Snapshot:
            return (await self._survey.whole()).snapshot

        app = build_operators_app(problems, snapshot, self._build, bus_name(settings))
        port = MetricsPort(app, Counters())
        try:
            await port.start(list(settings.host), settings.metrics_port)
        except OSError:
            await port.close()
            raise
        return port

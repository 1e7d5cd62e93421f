"""The supervisor: starts the workers, replaces those that end, and ends them all together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from relay.brokers import schemes
from relay.clients.context import CLOSE_TIMEOUT_SECONDS
from relay.errors import RelayError
from relay.gateway.access import auth_kind, report_access
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.settings import Settings
from relay.web.app import build_operators_app
from relay.web.listen_addresses import resolve_addresses
from relay.web.metrics_port import MetricsPort
from relay.workers.child_process import ProcessExit
from relay.workers.messages import Listening
from relay.workers.monitor import Monitor
from relay.workers.reservation import Reservation
from relay.workers.timing import DEFAULT_TIMING, Timing
from relay.workers.watchdog import Watchdog
from relay.workers.worker import Worker

START_ATTEMPTS: Final = 3
"""How often a worker may fail to start, before all have started once, until the command gives up."""

log = Logger("relay.workers")


class WorkerStartError(RelayError):
    """A worker can't be started.

    Args:
        worker: its number.
        last: how its last process ended.
    """

    def __init__(self, worker: int, last: ProcessExit) -> None:
        super().__init__(worker, last)
        self.worker = worker
        self.last = last

    def __str__(self) -> str:
        if self.last.final:
            return f"no worker can start: {self.last}"
        return f"worker {self.worker} did not start, {START_ATTEMPTS} times in a row: {self.last}"


class Supervisor:
    """Runs the workers of one gateway until it is told to drain; runs once.

    Args:
        settings: of the gateway.
        count: of workers.
        command: that starts a process; see `Worker`.
        started: called with the port once all workers listen.
        timing: how long it waits for what.

    Attributes:
        monitor: knows the status of all workers.
        watchdog: replaces workers that hang.
        workers: set while it runs.
    """

    def __init__(
        self,
        settings: Settings,
        count: int,
        command: Sequence[str],
        started: Callable[[int], None] = lambda port: None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self.monitor = Monitor(timing)
        self.watchdog = Watchdog(self.monitor.ended.counters, settings.worker_timeout, timing.suspect_after)
        self.workers: list[Worker] = []
        self._started = started
        self._settings = settings
        self._count = count
        self._command = command
        self._timing = timing
        # Filled by the workers: only they know their event loop.
        self._build: dict[str, str] = {}
        self._not_started = set(range(1, count + 1))
        self._ending = asyncio.Event()
        self._port = settings.port

    async def run(self, drain: asyncio.Event, stop: asyncio.Event) -> bool:
        """Start the workers, and return when all have ended.

        Args:
            drain: set to drain them.
            stop: set to stop them at once, after `drain`.

        Returns:
            Whether all have drained.

        Raises:
            OSError: an address can't be listened on.
            WorkerStartError: a worker can't be started.
        """
        settings = self._settings
        found = await resolve_addresses(settings.host, settings.port)
        with Reservation(found.usable, settings.port) as reservation:
            self._port = reservation.port
            report_access(settings, auth_kind(settings))
            self.workers = [
                Worker(number, self._settings_of(number), self._command, self.monitor.status, self._timing)
                for number in range(1, self._count + 1)
            ]
            self.monitor.workers = self.watchdog.workers = self.workers
            metrics_port = await self._open_metrics_port()
            helpers = [
                asyncio.create_task(work) for work in (self.monitor.run(), self.watchdog.run(), self._end(drain, stop))
            ]
            keepers = [asyncio.create_task(self._keep_running(worker)) for worker in self.workers]
            try:
                return all(await asyncio.gather(*keepers))
            finally:
                for task in [*keepers, *helpers]:
                    if not task.cancelling():  # else it is about to end its process
                        task.cancel()
                await asyncio.gather(*keepers, *helpers, return_exceptions=True)
                if metrics_port is not None:
                    await metrics_port.close()

    def reload(self) -> None:
        """Tell all workers to read again what may change while they run."""
        for worker in self.workers:
            worker.reload()

    def _settings_of(self, number: int) -> Settings:
        """Return the settings of one worker: with the port that was reserved, and its share of the gateway's limits."""
        settings = self._settings
        limits = {
            "max_connections": settings.max_connections,
            "max_new_connections_per_second": settings.max_new_connections_per_second,
        }
        shares = {
            name: max(1, limit // self._count + (number <= limit % self._count))
            for name, limit in limits.items()
            if limit
        }
        return settings.model_copy(update={"port": self._port, **shares})

    async def _keep_running(self, worker: Worker) -> bool:
        """Replace a worker's process when it ends, until all are to end; return whether the last one has drained."""
        timing = self._timing
        failures = 0
        while True:
            ended = await worker.run_process(lambda message: self._on_listening(worker, message))
            self.monitor.retire(worker)
            if self._ending.is_set():
                if ended.code:
                    log.error("worker ended", worker=worker.number, why=str(ended))
                return ended.code == 0
            failures = 0 if ended.seconds >= timing.steady_after else failures + 1
            if self._not_started and not ended.listened and (ended.final or failures >= START_ATTEMPTS):
                raise WorkerStartError(worker.number, ended)
            # With jitter: not all at once when something that all of them need has failed.
            pause = min(timing.first_pause * 2 ** max(0, failures - 1), timing.longest_pause)
            pause *= random.uniform(0.8, 1.2)  # noqa: S311  # spreads load, guards nothing
            log.error("worker ended", worker=worker.number, why=str(ended), again_in=round(pause, 2))
            try:
                async with asyncio.timeout(pause):
                    await self._ending.wait()
                return True  # there is no process to drain
            except TimeoutError:
                self.monitor.ended.counters.worker_restarts += 1

    def _on_listening(self, worker: Worker, message: Listening) -> None:
        self._build.update(message.build)
        if worker.number in self._not_started:
            self._not_started.remove(worker.number)
            if not self._not_started:
                log.info("all workers listen", workers=self._count, port=self._port)
                self._started(self._port)

    async def _end(self, drain: asyncio.Event, stop: asyncio.Event) -> None:
        """Wait until the workers are to drain, and see to it that all end: drained, stopped, or killed at last."""
        await drain.wait()
        self._ending.set()
        settings, timing = self._settings, self._timing
        log.info("draining all workers", workers=self._count, seconds=settings.drain_seconds)
        for worker in self.workers:
            worker.drain()
        # A worker publishes what it has accepted before it closes its last clients, and then what these have sent
        # meanwhile. Once it asks the bus whether all was heard.
        publishing = 2 * max(settings.publish_timeout, settings.broker_timeout) + settings.broker_timeout
        expected = settings.drain_delay + settings.drain_seconds + CLOSE_TIMEOUT_SECONDS + publishing
        limit = expected + timing.drain_grace
        try:
            async with asyncio.timeout(limit):
                await stop.wait()
        except TimeoutError:
            log.error("ending workers that did not drain in time", seconds=limit)
        for worker in self.workers:
            worker.stop()
        await asyncio.sleep(timing.stop_timeout)
        for worker in self.workers:
            worker.kill()

    async def _open_metrics_port(self) -> MetricsPort | None:
        """Serve metrics and health on a port of the supervisor, which neither clients nor a hung worker can block."""
        settings = self._settings
        if settings.metrics_port is None:
            return None
        bus = schemes.describe(settings.broker_url)
        app = build_operators_app(self.monitor.readiness, self.monitor.snapshot, self._build, bus)
        port = MetricsPort(app, Counters())
        await port.start(list(settings.host), settings.metrics_port)
        return port

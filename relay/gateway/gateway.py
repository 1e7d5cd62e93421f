"""A gateway: everything that one process runs, put together, started, drained and stopped."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from relay.brokers import BrokerOptions
from relay.control import Control
from relay.counters import Counters
from relay.errors import Disconnect
from relay.gateway.capacity import default_max_connections
from relay.gateway.context import Context
from relay.gateway.drain import close_evenly
from relay.gateway.handshake import expire_handshakes, readmit
from relay.gateway.keepalive import Keepalive
from relay.gateway.listener import Listener
from relay.gateway.member import CLOSE_TIMEOUT_SECONDS
from relay.gateway.stalls import Stalls
from relay.logs import Logger
from relay.node import Node
from relay.settings import Settings
from relay.web.app import build_app, http_logger
from relay.web.deadlines import IDLE_SECONDS, Deadlines
from relay.web.polls import Polls

READINESS_SECONDS = 0.1
"""How often it is looked whether the gateway has become ready, or no longer is."""

RESTART_SECONDS = 1.0

log = Logger("relay.gateway")


class Gateway:
    """A relay gateway inside an asyncio program.

        async with Gateway(Settings(port=0)) as gateway:
            print(gateway.url)

    Leaving the block drains it. One object is started once.

    Args:
        settings: None: from the environment.

    Attributes:
        settings: what it runs with.
        counters: what it has counted; plain numbers, readable at any time.
        port: where it listens, once started.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = Settings() if settings is None else settings
        self.counters = Counters()
        self.port = self.settings.port
        self._context: Context | None = None
        self._listener: Listener | None = None
        self._control: Control | None = None
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    @property
    def url(self) -> str:
        """Where clients connect, as `ws://HOST:PORT`."""
        host = self.settings.host[0]
        if host in ("0.0.0.0", "::"):
            host = "localhost"
        return f"ws://[{host}]:{self.port}" if ":" in host else f"ws://{host}:{self.port}"

    @property
    def problems(self) -> list[str]:
        """What keeps it from serving clients now, in words; empty when it is ready."""
        if self._context is None:
            return ["not started"]
        if self._draining:
            return ["draining"]
        return self._context.node.problems

    @property
    def ready(self) -> bool:
        """Whether clients should be sent here."""
        return not self.problems

    async def start(self) -> None:
        """Listen for clients, and begin to connect to the bus. Does not wait for the bus.

        Raises:
            OSError: an address can't be listened on.
        """
        settings = self.settings
        options = BrokerOptions(
            url=settings.broker_url,
            prefix=settings.broker_prefix,
            ca_file=None if settings.broker_ca_file is None else str(settings.broker_ca_file),
            timeout=settings.broker_timeout,
            probe_interval=settings.probe_interval,
            publish_timeout=settings.publish_timeout,
            publish_buffer_bytes=settings.publish_buffer_bytes,
        )
        node = Node(options, self.counters, write_delay=settings.write_delay / 1000)
        polls = Polls(settings, node, self.counters, lambda: context.closed)
        control = Control(node, lambda: context.clients)
        deadlines = Deadlines()
        app = build_app(
            settings,
            node,
            control,
            self.counters,
            deadlines,
            lambda: self.problems,
            lambda: self._draining,
            polls,
            lambda transport, head: readmit(context, transport, head),
        )
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            keepalive_timeout=IDLE_SECONDS,
            auto_decompress=False,  # a few bytes of a request must not become many
            logger=http_logger,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        context = Context(
            settings=settings,
            node=node,
            counters=self.counters,
            keepalive=Keepalive(settings.ping_interval, settings.ping_timeout),
            stalls=Stalls(settings.write_timeout, self.counters),
            http=self._runner.server,
            polls=polls,
            deadlines=deadlines,
            max_connections=self._max_connections(),
            loop=asyncio.get_running_loop(),
        )
        listener = Listener(context)
        try:
            self.port = await listener.start(list(settings.host), settings.port)
        except OSError:
            await self._runner.cleanup()
            raise
        self._context, self._listener, self._control = context, listener, control
        control.start(f"{socket.gethostname()}:{self.port}")
        await node.start()
        self._run("keepalive", context.keepalive.run)
        self._run("stalls", context.stalls.run)
        self._run("polls", polls.sweep)
        self._run("handshakes", lambda: expire_handshakes(context))
        self._run("readiness", self._report_readiness)
        log.info(
            "listening",
            host=list(settings.host),
            port=self.port,
            url=self.url,
            max_connections=context.max_connections,
            event_loop=type(context.loop).__module__.partition(".")[0],
        )

    async def drain(self) -> None:
        """Say goodbye: become unready, wait, accept no more, close clients evenly, publish what was accepted."""
        context, listener = self._context, self._listener
        if context is None or listener is None or self._draining:
            return
        settings = self.settings
        self._draining = True
        log.info("draining", connections=self.counters.connections_open, seconds=settings.drain_seconds)
        # Who comes now is still let in: load balancers need this time to notice.
        await asyncio.sleep(settings.drain_delay)
        context.draining = True
        listener.close()
        await listener.wait_adopted()
        for handshake in list(context.handshakes):
            handshake.refuse_for_drain()
        await close_evenly(context.clients, settings.drain_seconds, context.node.hub.flush)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS + 1):
                while context.connections:
                    await context.empty.wait()
        await context.node.drain()
        await self.stop()

    async def stop(self) -> None:
        """End at once: drop all clients, leave no task behind. After a drain nobody is left to be dropped."""
        context, listener, runner = self._context, self._listener, self._runner
        if context is None or listener is None or runner is None:
            return
        self._context = None
        context.draining = True
        listener.close()
        await listener.wait_adopted()
        for connection in list(context.connections):
            connection.abort()
        for handshake in list(context.handshakes):
            handshake.abort()
        for polled in list(context.polls):
            polled.close(Disconnect.GOING_AWAY)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await runner.cleanup()
        if self._control is not None:
            self._control.stop()
        await context.node.stop()
        log.info("stopped", **_summary(self.counters))

    def _max_connections(self) -> int:
        """Return how many clients are served at once: what is set, but never more than descriptors allow."""
        possible = default_max_connections()
        wanted = self.settings.max_connections or possible
        if wanted > possible:
            log.warning("max_connections is above the limit of open files", wanted=wanted, possible=possible)
        return min(wanted, possible)

    def _run(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.create_task(self._supervise(name, work), name=f"relay {name}"))

    async def _supervise(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do background work that never ends; a fault in it must not be the end of it."""
        while True:
            try:
                await work()
                return
            except Exception:
                log.exception("task failed", task=name)
            await asyncio.sleep(RESTART_SECONDS)

    async def _report_readiness(self) -> None:
        """Log when the gateway becomes ready, and when it no longer is."""
        reported: bool | None = None
        while True:
            if self._draining:
                return
            problems = self.problems
            if problems and reported:
                log.warning("not ready", reasons=problems)
            elif problems and reported is None:
                log.info("starting", reasons=problems)
            elif not problems and not reported:
                log.info("ready")
            reported = not problems
            await asyncio.sleep(READINESS_SECONDS)


def _summary(counters: Counters) -> dict[str, Any]:
    values = {field.name: getattr(counters, field.name) for field in dataclasses.fields(counters)}
    return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items() if value}

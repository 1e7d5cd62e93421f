"""A gateway: everything that one process runs, put together, started, drained and stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from relay.clients.client import CLOSE_TIMEOUT_SECONDS
from relay.clients.context import Context
from relay.clients.drain import close_evenly
from relay.clients.keepalive import Keepalive
from relay.clients.polls import Polls
from relay.clients.turns import Turns
from relay.clients.unfinished_messages import UnfinishedMessages, message_timeout
from relay.clients.write_timeouts import Stalls
from relay.control import Control
from relay.errors import Disconnect
from relay.gateway.background import Background
from relay.gateway.bus import broker_options, bus_name, warn_of_database
from relay.gateway.capacity import max_connections
from relay.gateway.garbage import collect_garbage
from relay.gateway.listener import Listener
from relay.gateway.readiness import report_left_out, report_readiness
from relay.gateway.siblings import Siblings
from relay.gateway.status import snapshot_without_clients, take_snapshot
from relay.logs import Logger
from relay.message import make_message
from relay.metrics.build import build_labels
from relay.metrics.counters import Counters
from relay.metrics.event_loop_lag import watch_event_loop
from relay.metrics.gc_pauses import GcPauses
from relay.metrics.process import Process
from relay.metrics.snapshot import Snapshot
from relay.node import Node
from relay.proxies.forwarded import TrustedProxies
from relay.settings import Settings
from relay.web.app import build_app, build_operators_app, run_app
from relay.web.http_port import open_port
from relay.web.metrics_port import MetricsPort
from relay.web.remote import tell_remote

log = Logger("relay.gateway")


class Gateway:
    """A relay gateway inside an asyncio program.

        async with Gateway(Settings(port=0)) as gateway:
            print(gateway.url)

    Leaving the block drains it. One object is started once.

    Args:
        settings: None: from the environment.
        siblings: speaks for the processes that share the port with this one, itself included; None: it is alone.

    Attributes:
        settings: what it runs with.
        counters: what it has counted; plain numbers, readable at any time.
        port: where it listens, once started.
    """

    def __init__(self, settings: Settings | None = None, *, siblings: Siblings | None = None) -> None:
        self._siblings = siblings
        self.settings = Settings() if settings is None else settings
        self.counters = Counters()
        self.port = self.settings.port
        self._context: Context | None = None
        self._listener: Listener | None = None
        self._control: Control | None = None
        self._runner: web.AppRunner | None = None
        self._metrics_port: MetricsPort | None = None
        self._process = Process()
        self._gc_pauses = GcPauses(self.counters.gc_pauses)
        self._background = Background()
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

    @property
    def build(self) -> dict[str, str]:
        """What runs here, as `relay_build_info` shows it; call inside the event loop."""
        return build_labels(self.settings.revision)

    async def snapshot(self) -> Snapshot:
        """Return what it has counted, and what is so now: plain numbers, a copy."""
        if self._context is None:
            return snapshot_without_clients(self.counters, self._process, self._draining)
        return await take_snapshot(self._context, self._process, self.problems, self._draining)

    @property
    def listening_sockets(self) -> Sequence[socket.socket]:
        """The sockets on which it listens; none before it has started."""
        return () if self._listener is None else self._listener.sockets

    async def start(self) -> None:
        """Listen for clients, and begin to connect to the bus. Does not wait for the bus.

        Raises:
            OSError: an address can't be listened on.
        """
        settings = self.settings
        context, control, runner = await self._prepare()
        listener = Listener(context)
        try:
            self.port = await listener.start(list(settings.host), settings.port, shared=self._siblings is not None)
            await self._open_metrics_port()
        except OSError:
            listener.close()
            await runner.cleanup()
            raise
        self._context, self._listener, self._control, self._runner = context, listener, control, runner
        control.start(f"{socket.gethostname()}:{self.port}")
        await context.node.start()
        self._background.run("keepalive", context.keepalive.run)
        self._background.run("stalls", context.stalls.run)
        self._background.run("unfinished messages", context.unfinished.run)
        self._background.run("polls", context.polls.sweep)
        self._background.run("http connections", context.http.expire)
        self._background.run("readiness", lambda: report_readiness(lambda: self._draining, lambda: self.problems))
        self._background.run("left-out log entries", report_left_out)
        self._background.run("event loop lag", lambda: watch_event_loop(self.counters.event_loop_lag))
        self._background.run(
            "garbage", lambda: collect_garbage(lambda: self._process.memory_bytes[1], lambda: context.sockets)
        )
        self._gc_pauses.start()
        log.info(
            "listening",
            addresses=listener.addresses,
            port=self.port,
            metrics_port=settings.metrics_port or self.port,
            url=self.url,
            max_connections=context.max_connections,
            event_loop=self.build["event_loop"],
            bus=bus_name(settings),
        )
        warn_of_database(settings)

    async def _prepare(self) -> tuple[Context, Control, web.AppRunner]:
        """Make everything that needs no port."""
        settings = self.settings
        node = Node(broker_options(settings), self.counters, write_delay=settings.write_delay / 1000)
        limit = max_connections(settings.max_connections)
        polls = Polls(settings, node, self.counters, limit, lambda: context.refusal_reason())
        control = Control(node, lambda: context.clients)
        speaker = self._siblings
        problems, take = (speaker.problems, speaker.snapshot) if speaker else (self._find_problems, self.snapshot)
        proxies = TrustedProxies(settings.trusted_proxies or ())
        app = build_app(
            settings=settings,
            node=node,
            control=control,
            polls=polls,
            counters=self.counters,
            draining=lambda: self._draining,
            problems=problems,
            take=None if settings.metrics_port else take,
            build=self.build,
            bus=bus_name(settings),
        )
        app.middlewares.append(tell_remote(proxies))
        runner = await run_app(app, settings.max_header_bytes)
        context = Context(
            settings=settings,
            node=node,
            counters=self.counters,
            keepalive=Keepalive(settings.ping_interval, settings.ping_timeout),
            stalls=Stalls(settings.write_timeout, self.counters),
            turns=Turns(asyncio.get_running_loop()),
            unfinished=UnfinishedMessages(message_timeout(settings.max_message_bytes)),
            http=open_port(runner, settings, self.counters),
            polls=polls,
            max_connections=limit,
            proxies=proxies,
            loop=asyncio.get_running_loop(),
        )
        return context, control, runner

    async def publish(self, channel: str, data: str | bytes) -> int:
        """Send a message to every client of a channel, on all gateways.

        Messages of calls that follow one another arrive in that order. One whose call is cancelled may have been
        delivered.

        Args:
            channel: its name.
            data: text is sent as a text message, bytes as a binary one; of any size that clients take.

        Returns:
            How many gateways have heard it (0: no client listens).

        Raises:
            TypeError: the data is neither text nor bytes.
            RuntimeError: the gateway has not been started, or has stopped.
            ChannelError: the name is not legal.
            PublishError: it was not, or perhaps not, delivered to the bus: `BusUnavailable`, `PublishBufferFull`
                and `PublishRefused` (it was not), or `DeliveryUnknown`.
        """
        message = make_message(channel, data)
        if self._context is None:
            raise RuntimeError("the gateway is not running: it was not started, or has stopped")
        return await self._context.node.submit(message)

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
        for http_connection in context.http.connections:
            http_connection.leave()
        node = context.node
        flush, unsettled = node.hub.flush, node.unsettled
        await close_evenly(context.clients, settings.drain_seconds, flush=flush, unsettled=unsettled, settle=node.drain)
        await context.emptied(CLOSE_TIMEOUT_SECONDS + 1)
        await node.drain()
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
        context.turns.stop()
        for connection in list(context.connections):
            connection.abort()
        for http_connection in context.http.connections:
            http_connection.leave()
        for polled in list(context.polls):
            polled.close(Disconnect.GOING_AWAY)
        await self._background.stop()
        self._gc_pauses.stop()
        await runner.cleanup()
        for http_connection in context.http.connections:
            http_connection.abort()
        if self._control is not None:
            self._control.stop()
        await context.node.stop()
        if self._metrics_port is not None:
            await self._metrics_port.close()
        log.info("stopped", **self.counters.summary())

    async def _find_problems(self) -> list[str]:
        return self.problems

    async def _open_metrics_port(self) -> None:
        if self.settings.metrics_port is None or self._siblings is not None:
            return
        app = build_operators_app(self._find_problems, self.snapshot, self.build, bus_name(self.settings))
        self._metrics_port = MetricsPort(app, self.counters)
        try:
            await self._metrics_port.start(list(self.settings.host), self.settings.metrics_port)
        except OSError:
            await self._metrics_port.close()
            raise

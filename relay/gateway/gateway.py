"""A gateway: everything that one process runs, put together, started, drained and stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from relay.auth.authenticator import Authenticator
from relay.authenticators import make_authenticator
from relay.brokers.schemes import describe
from relay.clients.context import CLOSE_TIMEOUT_SECONDS
from relay.clients.drain import close_evenly
from relay.gateway.access import auth_kind, identifies_users, report_access
from relay.gateway.background import Background
from relay.gateway.garbage import collect_garbage
from relay.gateway.listener import Listener
from relay.gateway.parts import Parts, make_parts
from relay.gateway.readiness import report_left_out, report_readiness
from relay.gateway.remotes import Remotes
from relay.gateway.status import Workers, snapshot_without_clients, take_snapshot
from relay.idempotency_key import check_idempotency_key
from relay.logs import Logger
from relay.message import make_message
from relay.metrics.counters import Counters
from relay.metrics.process import GcPauses, Process, build_labels, watch_event_loop
from relay.metrics.snapshot import Snapshot
from relay.rpc import make_rpc
from relay.settings import Settings
from relay.web.app import build_operators_app
from relay.web.app_keys import Readiness
from relay.web.metrics_port import MetricsPort

log = Logger("relay.gateway")


class Gateway:
    """A relay gateway inside an asyncio program.

        async with Gateway(Settings(port=0)) as gateway:
            print(gateway.url)

    Leaving the block drains it. One object is started once.

    Args:
        settings: None: from the environment.
        authenticator: tells who clients are, and what they may do; None: the one that RELAY_AUTH names. If it has the
            methods of a `RemoteAuthenticator`, it is opened, run and closed with the gateway.
        workers: speaks for the processes that share the port with this one, itself included; None: it is alone.

    Attributes:
        settings: what it runs with.
        counters: what it has counted; plain numbers, readable at any time.
        port: where it listens, once started.

    Raises:
        SettingsError: RELAY_AUTH names a function that isn't there.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        authenticator: Authenticator | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._workers = workers
        self.settings = Settings() if settings is None else settings
        self.counters = Counters()
        self._auth = auth_kind(self.settings, authenticator)
        self._authenticator = authenticator or make_authenticator(self.settings, self.counters)
        self._rpc = make_rpc(self.settings, self.counters, by_user=identifies_users(self._auth))
        self._remotes = Remotes(self._authenticator, rpc=self._rpc)
        self.port = self.settings.port
        self._parts: Parts | None = None
        self._listener: Listener | None = None
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
        """Where clients connect, as `ws://HOST:PORT`, or `wss://` with a certificate."""
        scheme = "ws" if self.settings.tls_cert is None else "wss"
        host = self.settings.host[0]
        if host in ("0.0.0.0", "::"):  # noqa: S104  # compared with, not bound
            host = "localhost"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    @property
    def problems(self) -> list[str]:
        """What keeps it from serving clients now, in words; empty when it is ready."""
        if self._parts is None:
            return ["not started"]
        if self._draining:
            return ["draining"]
        # Without the bus nothing can be read either: that is no problem of its own.
        return self._parts.context.node.problems or self._parts.control.blocked_users.problems

    @property
    def notes(self) -> list[str]:
        """What an operator should know, although it doesn't keep clients away, in words."""
        return [] if self._parts is None else self._remotes.notes

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
        if self._parts is None:
            return snapshot_without_clients(self.counters, self._process, self._draining)
        return await take_snapshot(self._parts, self._process, self.problems, self._draining)

    @property
    def listening_sockets(self) -> Sequence[socket.socket]:
        """The sockets on which it listens; none before it has started."""
        return () if self._listener is None else self._listener.sockets

    async def start(self) -> None:
        """Listen for clients, and begin to connect to the bus. Does not wait for the bus.

        Raises:
            OSError: an address can't be listened on.
            SettingsError: the certificate for TLS can't be used.
        """
        settings, others = self.settings, self._workers
        parts = await make_parts(
            settings,
            self.counters,
            self._authenticator,
            self._rpc,
            auth=self._auth,
            draining=lambda: self._draining,
            readiness=others.readiness if others else self._find_readiness,
            take=others.snapshot if others else self.snapshot,
        )
        listener = Listener(parts.front_door)
        await self._remotes.open()
        try:
            self.port = await listener.start(list(settings.host), settings.port, shared=others is not None)
            await self._open_metrics_port()
        except BaseException:  # also when it is cancelled
            listener.close()
            await parts.runner.cleanup()
            await self._remotes.close()
            raise
        self._parts, self._listener = parts, listener
        parts.control.start(f"{socket.gethostname()}:{self.port}")
        await parts.context.node.start()
        self._run_background(parts)
        self._gc_pauses.start()
        if others is None:
            report_access(settings, self._auth)
        log.info(
            "listening",
            addresses=listener.addresses,
            port=self.port,
            metrics_port=settings.metrics_port or self.port,
            url=self.url,
            auth=self._auth,
            max_connections=parts.context.registry.places,
            event_loop=self.build["event_loop"],
            bus=describe(settings.broker_url),
            fanout=parts.fan_out.way,
        )

    async def publish(
        self,
        channel: str,
        data: str | bytes,
        *,
        idempotency_key: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """Send a message to every client of a channel, on all gateways.

        Messages of calls that follow one another arrive in that order. One that is cancelled may have been delivered.

        Args:
            channel: its name.
            data: text is sent as a text message, bytes as a binary one; of any size that clients take.
            idempotency_key: names the message for five minutes: sent again with it, it does not come twice. None: none.
            tags: strings by name that go along with the message, to clients whose protocol has them.

        Returns:
            How many gateways have heard it (0: no client listens).

        Raises:
            TypeError: the data is neither text nor bytes.
            RuntimeError: the gateway has not been started, or has stopped.
            ChannelError, IdempotencyKeyError, AttributesError: the name, the key or the tags are not legal.
            PublishError: the bus has not taken it; or perhaps it has: `DeliveryUnknown`.
        """
        message = make_message(channel, data, tags)
        key = None if idempotency_key is None else check_idempotency_key(idempotency_key)
        if self._parts is None:
            raise RuntimeError("the gateway is not running: it was not started, or has stopped")
        return (await self._parts.context.node.submit(message, idempotency_key=key)).receivers

    def reload(self) -> None:
        """Read the certificate for TLS again now; a new one is found within seconds anyway. A no-op without TLS."""
        if self._parts is not None and self._parts.front_door.tls is not None:
            self._parts.front_door.tls.certificate.reload()

    async def drain(self) -> None:
        """Drain: become unready, wait, accept no more, close clients evenly, publish what was accepted."""
        parts, listener = self._parts, self._listener
        if parts is None or listener is None or self._draining:
            return
        settings = self.settings
        self._draining = True
        log.info("draining", connections=self.counters.connections_open, seconds=settings.drain_seconds)
        # New clients are still let in: load balancers need this time to notice.
        await asyncio.sleep(settings.drain_delay)
        registry, node = parts.context.registry, parts.context.node
        registry.draining = True
        listener.close()
        await listener.wait_adopted()
        parts.front_door.http.drain()
        flush, unsettled = node.hub.flush, node.unsettled
        await close_evenly(list(registry), settings.drain_seconds, flush=flush, unsettled=unsettled, settle=node.drain)
        await registry.emptied(CLOSE_TIMEOUT_SECONDS + 1)
        await node.presences.drain(settings.broker_timeout)
        parts.control.leave()
        await node.drain()
        await self.stop()

    async def stop(self) -> None:
        """End at once: drop all clients, leave no task behind. After a drain there are no clients left."""
        parts, listener = self._parts, self._listener
        if parts is None or listener is None:
            return
        self._parts = None
        context, front_door = parts.context, parts.front_door
        context.registry.draining = True
        listener.close()
        await listener.wait_adopted()
        context.turns.stop()
        context.throttled.stop()
        for client in context.registry:
            client.abort()
        front_door.http.drain()
        await self._background.stop()
        self._gc_pauses.stop()
        await parts.runner.cleanup()
        for http_connection in front_door.http.connections:
            http_connection.abort()
        await front_door.wait_settled()
        await self._remotes.close()
        parts.control.stop()
        await context.node.stop()
        parts.fan_out.close()
        if self._metrics_port is not None:
            await self._metrics_port.close()
        log.info("stopped", **self.counters.summary())

    async def _find_readiness(self) -> Readiness:
        return Readiness(self.problems, self.notes)

    def _run_background(self, parts: Parts) -> None:
        """Begin everything that goes on beside the clients."""
        front_door = parts.front_door
        self._remotes.run(self._background)
        for name, work in parts.background.items():
            self._background.run(name, work)
        self._background.run("readiness", lambda: report_readiness(lambda: self._draining, lambda: self.problems))
        self._background.run("left-out log entries", report_left_out)
        self._background.run("event loop lag", lambda: watch_event_loop(self.counters.event_loop_lag))
        self._background.run(
            "garbage", lambda: collect_garbage(lambda: self._process.memory_bytes[1], lambda: front_door.sockets)
        )

    async def _open_metrics_port(self) -> None:
        settings = self.settings
        if settings.metrics_port is None or self._workers is not None:
            return
        app = build_operators_app(self._find_readiness, self.snapshot, self.build, describe(settings.broker_url))
        metrics_port = MetricsPort(app, self.counters)
        await metrics_port.start(list(settings.host), settings.metrics_port)
        self._metrics_port = metrics_port

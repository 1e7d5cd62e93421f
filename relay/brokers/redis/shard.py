"""One Redis of the bus: a link to subscribe, a link to publish, and a probe through both."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress

from relay.brokers import BrokerOptions, BusState, Sink
from relay.brokers.redis.address import Resolver
from relay.brokers.redis.announcement import pack_announcement
from relay.brokers.redis.durability import Durability
from relay.brokers.redis.link import Link
from relay.brokers.redis.probe import Probe
from relay.brokers.redis.publications import Publications
from relay.brokers.redis.script_calls import ScriptedChannel
from relay.brokers.redis.scripting import Scripting
from relay.brokers.redis.subscriptions import Subscriptions
from relay.brokers.redis.supervised_link import SupervisedLink
from relay.brokers.redis.unpositioned import UnpositionedWatch
from relay.brokers.redis.verbs import PUBSUB, Verbs, pack_publish, publish_template
from relay.channel import INTERNAL
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.pauses import pause

RETRY_PROBE_SECONDS = 0.1
"""Between two looks at the probe while messages don't get through."""

MAX_REOPENINGS = 8
"""How often a link is reopened to reach the server of the other one; after that, the other one is reopened."""

REPORT_SECONDS = 60.0
"""How often it is logged that Redis refuses probes."""

log = Logger("relay.bus")


class Shard:
    """The part of the bus that one Redis carries.

    Messages go out only while both links are open: a gateway that hears nothing would miss what its own clients
    publish. Whether messages really get through is asked of Redis itself: each `probe_interval` the shard publishes to
    a channel of its own and expects to hear it within `timeout`.

    A gateway that hears itself may still not hear the others. So both links must lead to one server, a primary. Where
    a link is reopened, the address of the bus leads now: the other link has to follow.

    Args:
        resolve: where the Redis is; asked before each attempt to connect.
        options: see `BrokerOptions`.
        sink: receives messages and gaps.
        counters: where everything is counted.
        verbs: the kind of pub/sub.

    Attributes:
        subscriptions: the link to subscribe.
        publications: the link to publish.
    """

    def __init__(
        self, resolve: Resolver, options: BrokerOptions, sink: Sink, counters: Counters, verbs: Verbs = PUBSUB
    ) -> None:
        self._options = options
        self._counters = counters
        self._verbs = verbs
        announced = options.namespaces.positioned
        announcement = pack_announcement(options.prefix, options.namespaces) if announced else None
        self._scripting = Scripting(verbs.publish, options.prefix, announcement, Durability())
        self._prefix = options.prefix
        self._probe_channel = f"{options.prefix}{INTERNAL}probe {secrets.token_hex(8)}".encode()
        self._probe = Probe()
        self._probe_task: asyncio.Task[None] | None = None
        self._report_at = 0.0
        # The link that was reopened to reach the server of the other one, and how often it has failed to.
        self._reopened: SupervisedLink | None = None
        self._reopenings = 0
        self.subscriptions = Subscriptions(
            resolve,
            options.timeout,
            options.probe_interval,
            counters,
            prefix=options.prefix,
            probe=self._probe_channel,
            sink=sink,
            receiver=UnpositionedWatch(sink, options.namespaces, counters).receiver,
            probe_received=self._probe_received,
            changed=lambda: self.publications.update(),
            verbs=verbs,
        )
        self.publications = Publications(
            resolve,
            options.timeout,
            options.probe_interval,
            counters,
            gate=lambda: self.subscriptions.open,
            writable=sink.writable,
            demoted=self._demoted,
            publish_timeout=options.publish_timeout,
            buffer_bytes=options.publish_buffer_bytes,
            scripting=self._scripting,
        )
        self.subscriptions.connected = lambda: self._join_servers(self.subscriptions, self.publications)
        self.publications.connected = lambda: self._join_servers(self.publications, self.subscriptions)

    async def start(self) -> None:
        """Begin to connect and to probe."""
        await self.subscriptions.start()
        await self.publications.start()
        self._probe_task = asyncio.create_task(self._run_probes(), name="relay bus probe")

    async def drain(self) -> None:
        """Send the messages that wait, and wait for Redis' replies; then those without one fail.

        Afterwards it is known as well whether everything was heard that was published until now.
        """
        try:
            async with asyncio.timeout(max(self._options.publish_timeout, self._options.timeout)):
                await self.publications.drain()
        except TimeoutError:
            self.publications.give_up()
        await self.subscriptions.drain()

    async def stop(self) -> None:
        """Disconnect."""
        if self._probe_task is not None:
            self._probe_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._probe_task
        await self.publications.stop()
        await self.subscriptions.stop()

    def publish_template(self, channel: str) -> bytes:
        """Return the command that publishes to a channel, without its payload; see `verbs.publish_template`."""
        return publish_template(self._verbs.publish, (self._prefix + channel).encode())

    def scripted(self, channel: str) -> ScriptedChannel:
        """Return the calls of scripts that publish to a channel."""
        options = self._options.namespaces.options(channel)
        return ScriptedChannel(self._scripting.scripts, self._prefix, channel, options)

    @property
    def problems(self) -> list[str]:
        """Links that are down and probes that are missing, as sentences."""
        links = self.subscriptions.refused.reasons + [
            f"bus {name}: {link.problem}"
            for name, link in (("subscriptions", self.subscriptions), ("publications", self.publications))
            if link.problem is not None
        ]
        return links or ([self._probe.problem] if self._probe.problem else [])

    @property
    def state(self) -> BusState:
        """Both links, subscriptions, waiting messages, and the Redis from which messages are received."""
        return BusState(
            links={"subscriptions": self.subscriptions.open, "publications": self.publications.open},
            subscriptions=len(self.subscriptions),
            buffered=self.publications.buffered,
            server=next((link.server.run_id for link in self._links if link is not None), None),
        )

    @property
    def servers(self) -> set[str]:
        """The run ids of the Redis that the links are on, as far as they are known: two while one link follows."""
        return {link.server.run_id for link in self._links if link is not None and link.server.run_id is not None}

    @property
    def _links(self) -> tuple[Link | None, Link | None]:
        return self.subscriptions.link, self.publications.link

    def _demoted(self) -> None:
        """Leave a Redis that has become a replica: what is published there never reaches the primary.

        The subscriptions stay where they are until the address leads to a primary again: as long as the old server
        replicates the new one, they still hear what is published there. It counts as a gap all the same.
        """
        since = self.publications.heartbeat.answered_until
        self.subscriptions.gaps.invalidate(since)
        address = str(self.publications.address)
        log.error("bus demoted", address=address, seconds=round(time.monotonic() - since, 3))
        self.publications.abort("this Redis has become a replica; the bus needs the primary")

    def _join_servers(self, fresh: SupervisedLink, other: SupervisedLink) -> None:
        """Compare the server of a fresh link with that of the other link, and reopen one when they differ."""
        if fresh.link is None or other.link is None:
            return
        here, there = fresh.link.server.run_id, other.link.server.run_id
        moved = here is not None and there is not None and here != there
        if moved and fresh is self._reopened and self._reopenings < MAX_REOPENINGS:
            # The name leads to several servers at once: try again to reach the one of the other link.
            self._reopenings += 1
            fresh.abort("it has come out on another Redis than the other link")
            return
        self._reopened, self._reopenings = (other, 0) if moved else (None, 0)
        if other is self.subscriptions and (moved or self.subscriptions.gaps.invalidated):
            # Other gateways may have moved as soon as the old link to publish got no replies any more.
            self.subscriptions.gaps.invalidate(self.publications.heartbeat.answered_until)
            other.abort("the bus has moved to another Redis")
        elif moved:
            other.abort("the bus has moved to another Redis")

    async def _run_probes(self) -> None:
        """Publish to this gateway, again and again; a link to subscribe that doesn't hear it is reopened."""
        interval = self._options.probe_interval
        while True:
            try:
                self._check_probe(time.monotonic())
            except Exception:
                # A fault of ours must not leave the gateway ready for ever, whatever it hears.
                self._probe.give_up("bus probe failed")
                log.exception("bus probe failed")
            unheard = self._probe.problem is not None and not self._probe.refused
            seconds = min(interval, RETRY_PROBE_SECONDS) if unheard else interval
            due = time.monotonic() + seconds
            await pause(seconds)
            if time.monotonic() - due > interval:
                self._probe.give_up()  # this process was stalled, not the bus: ask again

    def _check_probe(self, now: float) -> None:
        """Look at the last probe, and send the next one when it is settled."""
        probe = self._probe
        if not (self.publications.open and self.subscriptions.open):
            probe.give_up("bus not probed since the last outage")
        elif self.subscriptions.refused.probe_refused:
            probe.give_up("bus not probed: its channel is refused")
        elif probe.is_stale(self._links):
            probe.give_up()
        elif probe.sent_at is not None:
            probe.watch(now, self._options.timeout)
        elif self.publications.full:
            probe.give_up("the bus falls behind: publish buffer full")
        elif self.publications.passing:
            self._send_probe(now)
        elif now - probe.heard_until >= self._options.timeout + self._options.probe_interval:
            # A full socket alone is no fault: a large message takes its time.
            probe.give_up("bus not probed: its socket takes no more")
        if probe.is_lost(self.subscriptions.heartbeat.answered_until):
            probe.give_up("probe not heard, but what Redis sent after it")
            log.error("bus deaf", reason=probe.problem)
            self.subscriptions.gaps.invalidate(probe.heard_until)
            self.subscriptions.abort(str(probe.problem))

    def _send_probe(self, now: float) -> None:
        number = self._probe.send(now, self._links)

        def answered(reply: object) -> None:
            error = self._probe.answered(number, reply, time.monotonic())
            if error is not None:
                self._counters.bus_errors += 1
                if time.monotonic() >= self._report_at:
                    self._report_at = time.monotonic() + REPORT_SECONDS
                    log.error("bus probe refused", error=error)

        command = pack_publish(self._probe_channel, b"%d" % number, self._verbs.publish)
        self.publications.publish(command, None, answered)

    def _probe_received(self, payload: bytes) -> None:
        sent_at = self._probe.heard(payload)
        if sent_at is None:
            return
        seconds = time.monotonic() - sent_at
        self._counters.bus_round_trip_seconds = seconds
        self._counters.bus_round_trips.observe(seconds)
        self.subscriptions.probe_heard(sent_at)

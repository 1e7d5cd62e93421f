"""Redis as the bus: one link to listen, one to publish, and a probe through both."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from functools import lru_cache

from relay.brokers import Broker, BrokerOptions, BusState, Receipt, Sink, Source
from relay.brokers.envelope import seal
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.link import Link, pack
from relay.brokers.redis.probe import Probe
from relay.brokers.redis.publications import Publications
from relay.brokers.redis.subscriptions import Subscriptions
from relay.brokers.redis.supervised import SupervisedLink
from relay.channel import INTERNAL
from relay.logs import Logger
from relay.message import Message
from relay.metrics.counters import Counters

CACHED_CHANNELS = 4096

RETRY_PROBE_SECONDS = 0.1
"""Between two looks at the bus while messages don't get through."""

FOLLOWS = 8
"""How often a link is opened anew to reach the server of the other one, before the other one has to follow it."""

REPORT_SECONDS = 60.0
"""How often it is logged that Redis refuses probes."""

log = Logger("relay.bus")


class RedisBroker(Broker):
    """A bus over Redis pub/sub, one Redis channel per relay channel.

    Messages go out only while both links are open: a gateway that is deaf would not hear what its own clients
    say. Whether messages really get through is asked of Redis itself: each `probe_interval` the broker
    publishes to a channel of its own and expects to hear it within `timeout`.

    To hear oneself is not to hear the others. So both links must lead to one server, a primary. Where a link opens
    anew, the name of the bus leads now: the other link follows it.
    """

    def __init__(self, options: BrokerOptions, sink: Sink, counters: Counters) -> None:
        self._options = options
        self._counters = counters
        self._prefix = options.prefix
        # What a PUBLISH to a channel begins with. Formatting the rest takes half the time of packing it all.
        self._publish_to = lru_cache(maxsize=CACHED_CHANNELS)(self._pack_publish_to)
        self._probe_channel = f"{options.prefix}{INTERNAL}probe {secrets.token_hex(8)}"
        self._address = parse_address(options.url, options.ca_file)
        self._probe = Probe()
        self._probe_task: asyncio.Task[None] | None = None
        self._report_at = 0.0
        # The link that was opened anew to come out where the other one has, and how often it has failed to.
        self._follower: SupervisedLink | None = None
        self._follows = 0
        self._subscriptions = Subscriptions(
            self._address,
            options.timeout,
            options.probe_interval,
            counters,
            prefix=options.prefix,
            probe=self._probe_channel,
            sink=sink,
            echo=self._echo,
            changed=lambda: self._publications.update(),
        )
        self._publications = Publications(
            self._address,
            options.timeout,
            options.probe_interval,
            counters,
            gate=lambda: self._subscriptions.open,
            writable=sink.writable,
            demoted=self._demoted,
            publish_timeout=options.publish_timeout,
            buffer_bytes=options.publish_buffer_bytes,
        )
        self._subscriptions.connected = lambda: self._follow(self._subscriptions, self._publications)
        self._publications.connected = lambda: self._follow(self._publications, self._subscriptions)

    async def start(self) -> None:
        """Begin to connect and to probe.

        A database number is warned of, as it separates nothing. It isn't refused: Redis URLs that a platform hands out
        may have one.
        """
        if self._address.db:
            log.warning(
                "the database number does not separate deployments",
                reason="pub/sub is the same in all databases of a Redis",
                database=self._address.db,
                separate_with="RELAY_BROKER_PREFIX",
                prefix=self._prefix,
            )
        await self._subscriptions.start()
        await self._publications.start()
        self._probe_task = asyncio.create_task(self._watch(), name="relay bus probe")

    async def drain(self) -> None:
        """Send what waits, and wait for Redis' answers; what has none then is given up. See what was heard, too."""
        try:
            async with asyncio.timeout(max(self._options.publish_timeout, self._options.timeout)):
                await self._publications.drain()
        except TimeoutError:
            self._publications.give_up()
        await self._subscriptions.drain()

    async def stop(self) -> None:
        """Disconnect."""
        if self._probe_task is not None:
            self._probe_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._probe_task
        await self._publications.stop()
        await self._subscriptions.stop()

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """See `Broker.subscribe`."""
        return self._subscriptions.subscribe(channel)

    def unsubscribe(self, channel: str) -> None:
        """See `Broker.unsubscribe`."""
        self._subscriptions.unsubscribe(channel)

    def publish(self, message: Message, source: Source, receipt: Receipt | None = None) -> bool:
        """See `Broker.publish`."""
        envelope = seal(message)
        return self._publications.publish(
            b"%b%d\r\n%b\r\n" % (self._publish_to(message.channel), len(envelope), envelope), source, receipt
        )

    @property
    def counts_all_receivers(self) -> bool:
        """Return True: all gateways are connected to this one Redis."""
        return True

    @property
    def congested(self) -> bool:
        """See `Broker.congested`."""
        return self._publications.congested

    def hold_back(self) -> bool:
        """See `Broker.hold_back`."""
        return self._publications.hold_back()

    def unsettled(self) -> set[Source]:
        """See `Broker.unsettled`."""
        return self._publications.unsettled()

    @property
    def problems(self) -> list[str]:
        """Links that are down and probes that are missing, in words."""
        links = self._subscriptions.refused.reasons + [
            f"bus {name}: {link.problem}"
            for name, link in (("subscriptions", self._subscriptions), ("publications", self._publications))
            if link.problem is not None
        ]
        return links or ([self._probe.problem] if self._probe.problem else [])

    @property
    def state(self) -> BusState:
        """Both links, what they are subscribed to, what waits, and which Redis it is: where clients are heard from."""
        return BusState(
            links={"subscriptions": self._subscriptions.open, "publications": self._publications.open},
            subscriptions=len(self._subscriptions),
            buffered=self._publications.buffered,
            server=next((link.server.run_id for link in self._links if link is not None), None),
        )

    def _pack_publish_to(self, channel: str) -> bytes:
        key = (self._prefix + channel).encode()
        return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$" % (len(key), key)

    @property
    def _links(self) -> tuple[Link | None, Link | None]:
        return self._subscriptions.link, self._publications.link

    def _echo(self, payload: bytes) -> None:
        sent_at = self._probe.heard(payload)
        if sent_at is None:
            return
        seconds = time.monotonic() - sent_at
        self._counters.bus_round_trip_seconds = seconds
        self._counters.bus_round_trips.observe(seconds)
        self._subscriptions.heard_probe(sent_at)

    def _demoted(self) -> None:
        """Leave a Redis that has become a replica: what is published there never reaches the primary.

        The subscriptions stay where they are until the name leads to a primary again: as long as the old server
        follows it, they still hear what is said there. It counts as a gap all the same.
        """
        since = self._publications.heartbeat.answered_until
        self._subscriptions.gaps.invalidate(since)
        log.error("bus demoted", address=str(self._address), seconds=round(time.monotonic() - since, 3))
        self._publications.abort("this Redis has become a replica; the bus needs the primary")

    def _follow(self, fresh: SupervisedLink, other: SupervisedLink) -> None:
        """Compare where a fresh link has come out with the other link, which is opened anew if that is elsewhere."""
        if fresh.link is None or other.link is None:
            return
        here, there = fresh.link.server.run_id, other.link.server.run_id
        moved = here is not None and there is not None and here != there
        if moved and fresh is self._follower and self._follows < FOLLOWS:
            # The name leads to several servers at once: try again to come out where the other link has.
            self._follows += 1
            fresh.abort("it has come out on another Redis than the other link")
            return
        self._follower, self._follows = (other, 0) if moved else (None, 0)
        if other is self._subscriptions and (moved or self._subscriptions.gaps.invalidated):
            # The others may have moved as soon as the old link to publish was not answered any more.
            self._subscriptions.gaps.invalidate(self._publications.heartbeat.answered_until)
            other.abort("the bus has moved to another Redis")
        elif moved:
            other.abort("the bus has moved to another Redis")

    def _send_probe(self, now: float) -> None:
        number = self._probe.send(now, self._links)

        def answered(reply: object) -> None:
            error = self._probe.answered(number, reply, time.monotonic())
            if error is not None:
                self._counters.bus_errors += 1
                if time.monotonic() >= self._report_at:
                    self._report_at = time.monotonic() + REPORT_SECONDS
                    log.error("bus probe refused", error=error)

        self._publications.publish(pack("PUBLISH", self._probe_channel, number), None, answered)

    def _look(self, now: float) -> None:
        """See what has become of the last probe, and send the next one."""
        probe, timeout = self._probe, self._options.timeout
        if not self._publications.passing:
            probe.forget("bus not probed since the last outage")
        elif self._subscriptions.refused.probe_refused:
            probe.forget("bus not probed: its channel is refused")
        elif probe.is_stale(self._links):
            probe.forget()
        elif probe.sent_at is None and self._publications.full:
            probe.forget("the bus falls behind: publish buffer full")
        elif probe.sent_at is None:
            self._send_probe(now)
        elif now - probe.sent_at >= timeout:
            probe.problem = f"probe not heard for {timeout:g} s"
        if probe.is_lost(self._subscriptions.heartbeat.answered_until):
            probe.forget("probe not heard, but what Redis sent after it")
            log.error("bus deaf", reason=probe.problem)
            self._subscriptions.gaps.invalidate(probe.heard_until)
            self._subscriptions.abort(str(probe.problem))

    async def _watch(self) -> None:
        """Publish to ourselves, again and again; a subscription link that doesn't hear it is opened anew."""
        interval = self._options.probe_interval
        while True:
            try:
                self._look(time.monotonic())
            except Exception:
                # A fault of ours must not leave the gateway ready for ever, whatever it hears.
                self._probe.forget("bus probe failed")
                log.exception("bus probe failed")
            pause = (
                interval if self._probe.problem is None or self._probe.refused else min(interval, RETRY_PROBE_SECONDS)
            )
            due = time.monotonic() + pause
            await asyncio.sleep(pause)
            if time.monotonic() - due > interval:
                self._probe.forget()  # this process was stalled, not the bus: ask again


broker_class = RedisBroker

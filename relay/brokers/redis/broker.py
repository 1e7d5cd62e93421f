"""Redis as the bus: one link to listen, one to publish, and a probe through both."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from functools import lru_cache

from relay.brokers import Broker, BrokerOptions, Receipt, Sink, Source
from relay.brokers.envelope import seal
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.link import Link, pack
from relay.brokers.redis.publications import Publications
from relay.brokers.redis.subscriptions import Subscriptions
from relay.channel import INTERNAL
from relay.counters import Counters
from relay.logs import Logger
from relay.message import Message

CACHED_CHANNELS = 4096

log = Logger("relay.bus")


class RedisBroker(Broker):
    """A bus over Redis pub/sub, one Redis channel per relay channel.

    Messages go out only while both links are open: a gateway that is deaf would not hear what its own clients
    say. Whether messages really get through is asked of Redis itself: each `probe_interval` the broker
    publishes to a channel of its own and expects to hear it within `timeout`.
    """

    def __init__(self, options: BrokerOptions, sink: Sink, counters: Counters) -> None:
        self._options = options
        self._counters = counters
        self._prefix = options.prefix
        # What a PUBLISH to a channel begins with. Formatting the rest takes half the time of packing it all.
        self._publish_to = lru_cache(maxsize=CACHED_CHANNELS)(self._pack_publish_to)
        self._probe_channel = f"{options.prefix}{INTERNAL}probe {secrets.token_hex(8)}"
        self._address = parse_address(options.url, options.ca_file)
        self._probe_number = 0
        self._probe_sent_at: float | None = None
        self._probe_executed_at: float | None = None
        self._probe_links: tuple[Link | None, Link | None] = (None, None)
        self._probe_task: asyncio.Task[None] | None = None
        self._echo_problem: str | None = "bus not probed yet"
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
            publish_timeout=options.publish_timeout,
            buffer_bytes=options.publish_buffer_bytes,
        )

    async def start(self) -> None:
        """Begin to connect and to probe."""
        await self._subscriptions.start()
        await self._publications.start()
        self._probe_task = asyncio.create_task(self._probe(), name="relay bus probe")

    async def drain(self) -> None:
        """Send what waits, and wait for Redis' answers."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self._options.publish_timeout, self._options.timeout)):
                await self._publications.drain()

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
    def problems(self) -> list[str]:
        """Links that are down and probes that are missing, in words."""
        links = self._subscriptions.refusals + [
            f"bus {name}: {link.problem}"
            for name, link in (("subscriptions", self._subscriptions), ("publications", self._publications))
            if link.problem is not None
        ]
        return links or ([self._echo_problem] if self._echo_problem else [])

    def _pack_publish_to(self, channel: str) -> bytes:
        key = (self._prefix + channel).encode()
        return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$" % (len(key), key)

    def _echo(self, payload: bytes) -> None:
        if self._probe_sent_at is None or payload != b"%d" % self._probe_number:
            return
        now = asyncio.get_running_loop().time()
        self._counters.bus_round_trip_seconds = now - self._probe_sent_at
        self._probe_sent_at = None
        self._echo_problem = None

    def _deaf(self, sent_at: float) -> bool:
        """Return whether the probe that was sent at a time can't be heard any more.

        Not a matter of time: under load its echo queues behind data that is still delivered, and breaking the link
        would lose that. But Redis answers in order. Once it has executed the probe, a PING that is written
        afterwards on the subscription link is answered behind the echo.
        """
        if self._publications.answered_until < sent_at:
            self._probe_executed_at = None
        elif self._probe_executed_at is None:
            self._probe_executed_at = asyncio.get_running_loop().time()
        else:
            return self._subscriptions.answered_until > self._probe_executed_at
        return False

    async def _probe(self) -> None:
        """Publish to ourselves, again and again; a subscription link that doesn't hear it is started anew."""
        loop = asyncio.get_running_loop()
        interval, timeout = self._options.probe_interval, self._options.timeout
        while True:
            links = (self._publications.link, self._subscriptions.link)
            if not self._publications.passing:
                self._probe_sent_at = None
                self._echo_problem = "bus not probed since the last outage"
            elif self._probe_sent_at is not None and links != self._probe_links:
                self._probe_sent_at = None  # swallowed with an old link, it says nothing about the new one
            elif self._probe_sent_at is None and self._publications.full:
                self._echo_problem = "the bus falls behind: publish buffer full"
            elif self._probe_sent_at is None:
                self._probe_number += 1
                self._probe_links = links
                self._probe_sent_at = loop.time()
                self._publications.publish(pack("PUBLISH", self._probe_channel, self._probe_number), None)
            elif loop.time() - self._probe_sent_at >= timeout:
                self._echo_problem = f"probe not heard for {timeout:g} s"
            if self._probe_sent_at is not None and self._deaf(self._probe_sent_at):
                self._echo_problem = "probe not heard, but what Redis sent after it"
                log.error("bus deaf", reason=self._echo_problem)
                self._probe_sent_at = None
                self._subscriptions.abort(self._echo_problem)
            pause = interval if self._echo_problem is None else min(interval, 0.1)
            due = loop.time() + pause
            await asyncio.sleep(pause)
            if loop.time() - due > interval:
                self._probe_sent_at = None  # this process was stalled, not the bus: ask again

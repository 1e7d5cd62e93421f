"""The link on which a gateway hears its channels."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

import hiredis

from relay.brokers import Sink
from relay.brokers.envelope import EnvelopeError, open_envelope
from relay.brokers.redis.address import Address
from relay.brokers.redis.link import Link, Replies, pack
from relay.brokers.redis.supervised import PING, SupervisedLink
from relay.counters import Counters
from relay.errors import SubscribeError
from relay.logs import Logger

BATCH = 512
"""Channels per SUBSCRIBE or UNSUBSCRIBE: one command must not keep Redis busy for long."""

log = Logger("relay.bus")


class _Subscription:
    """One channel that this gateway wants, and how far Redis is with it.

    `unanswered` counts SUBSCRIBE commands on the way: after subscribe, unsubscribe, subscribe the first
    answer doesn't mean that the channel is heard.
    """

    __slots__ = ("acknowledged", "name", "unanswered")

    def __init__(self, name: str, acknowledged: asyncio.Future[None]) -> None:
        self.name = name
        self.acknowledged = acknowledged
        self.unanswered = 0


class Subscriptions(SupervisedLink):
    """All bus subscriptions of one gateway, on one link.

    They survive the link: a new one subscribes to everything again before it counts as open, and the node is
    told of the gap.

    Args:
        address, timeout, interval, counters: see `SupervisedLink`.
        prefix: of every channel name on the bus.
        probe: name, on the bus, of the channel on which the broker hears itself; always subscribed.
        sink: who gets the messages.
        echo: called with the payload of each message on the probe channel.
        changed: called when `open` has changed.
    """

    def __init__(
        self,
        address: Address,
        timeout: float,
        interval: float,
        counters: Counters,
        *,
        prefix: str,
        probe: str,
        sink: Sink,
        echo: Callable[[bytes], None],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(address, "subscriptions", timeout, interval, counters)
        self._prefix = prefix.encode()
        self._probe = probe.encode()
        self._sink = sink
        self._echo = echo
        self._changed = changed
        self._wanted: dict[bytes, _Subscription] = {}
        # What Redis hasn't been told yet: (verb, channel); written at the end of the tick.
        self._outbox: list[tuple[bytes, bytes]] = []
        # What Redis hasn't answered yet, in order: [verb, channels]. Its answers come one by one, in this order.
        self._unanswered: deque[tuple[bytes, deque[bytes]]] = deque()
        # While a fresh link is brought into use: what must be answered before it counts as open.
        self._synchronized: asyncio.Future[None] | None = None
        self._to_synchronize: set[bytes] = set()
        self._lost_at: float | None = None
        self._missed: set[bytes] = set()

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """See `Broker.subscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.get(key)
        if subscription is None:
            acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            subscription = self._wanted[key] = _Subscription(channel, acknowledged)
            self._command(b"SUBSCRIBE", key)
        return subscription.acknowledged

    def unsubscribe(self, channel: str) -> None:
        """See `Broker.unsubscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.pop(key, None)
        if subscription is not None:
            subscription.acknowledged.cancel()
            self._missed.discard(key)
            self._command(b"UNSUBSCRIBE", key)

    async def opened(self, link: Link) -> None:
        """Subscribe to everything that is wanted, and wait until Redis has acknowledged all of it."""
        self._outbox.clear()
        self._synchronized = asyncio.get_running_loop().create_future()
        for subscription in self._wanted.values():
            subscription.unanswered = 0
        self._to_synchronize = {self._probe, *self._wanted}
        self._outbox.extend((b"SUBSCRIBE", key) for key in self._to_synchronize)
        self._flush()
        await asyncio.wait((self._synchronized, link.closed), return_when=asyncio.FIRST_COMPLETED)
        if link.closed.done():
            return
        if self._lost_at is not None and self._missed:
            seconds = asyncio.get_running_loop().time() - self._lost_at
            self._sink.gap(len(self._missed), seconds)
        self._lost_at = None
        self._missed.clear()
        # `open` turns true when this returns; what waited for it goes on right after.
        asyncio.get_running_loop().call_soon(self._changed)

    def lost(self, reason: str) -> None:
        """Remember which channels may miss messages from now on; none of them counts as heard any more."""
        loop = asyncio.get_running_loop()
        if self._lost_at is None:
            self._lost_at = loop.time()
        for key, subscription in self._wanted.items():
            if subscription.acknowledged.done():
                subscription.acknowledged = loop.create_future()
                self._missed.add(key)
        self._outbox.clear()
        self._unanswered.clear()
        self._synchronized = None
        self._changed()

    def link_writable(self, writable: bool) -> None:
        """Nothing waits: subscriptions are few bytes."""

    def ping(self, link: Link) -> None:
        """Write a PING; its reply is an array, and nobody waits for it."""
        link.write(PING)

    def replies_received(self, replies: Replies) -> None:
        """Hand on messages; settle acknowledgements."""
        wanted = self._wanted
        receive = self._sink.receive
        while (reply := replies()) is not False:
            if type(reply) is not list:
                self._refused(reply)
            elif reply[0] == b"message":
                subscription = wanted.get(reply[1])
                if subscription is not None:
                    try:
                        receive(open_envelope(subscription.name, reply[2]))
                    except EnvelopeError as error:
                        self._counters.bus_errors += 1
                        log.warning("bus message refused", channel=subscription.name, error=str(error))
                elif reply[1] == self._probe:
                    self._echo(reply[2])
            elif reply[0] in (b"subscribe", b"unsubscribe"):
                self._acknowledged(reply[0], reply[1])

    def _command(self, verb: bytes, key: bytes) -> None:
        if self._synchronized is None:
            return  # no link: `opened` subscribes to everything that is wanted then
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append((verb, key))

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if self.link is None:
            return
        packed = []
        for verb, keys in _batches(outbox):
            if verb == b"SUBSCRIBE":
                for key in keys:
                    if key in self._wanted:
                        self._wanted[key].unanswered += 1
            self._unanswered.append((verb, deque(keys)))
            packed.append(pack(verb, *keys))
        self.link.write(b"".join(packed))

    def _acknowledged(self, verb: bytes, key: bytes) -> None:
        if self._unanswered:
            keys = self._unanswered[0][1]
            keys.popleft()
            if not keys:
                self._unanswered.popleft()
        if verb == b"subscribe" and (subscription := self._wanted.get(key)) is not None:
            subscription.unanswered -= 1
            if subscription.unanswered <= 0 and not subscription.acknowledged.done():
                subscription.acknowledged.set_result(None)
        if verb == b"subscribe":
            self._synchronize(key)

    def _refused(self, reply: object) -> None:
        """Settle an error reply: it answers the oldest command, as a whole (an ACL forbids a channel, say)."""
        self._counters.bus_errors += 1
        if not isinstance(reply, hiredis.ReplyError) or not self._unanswered:
            self.abort(f"unexpected reply: {reply!r:.200}")
            return
        verb, keys = self._unanswered.popleft()
        if len(keys) > 1:
            # One forbidden channel must not keep the others of its batch from being heard.
            for key in keys:
                self._unanswered.append((verb, deque([key])))
            if self.link is not None:
                self.link.write(b"".join(pack(verb, key) for key in keys))
            return
        if self._probe in keys:
            self.abort(f"probe channel refused: {reply}")
            return
        for key in keys:
            subscription = self._wanted.pop(key, None)
            if subscription is not None and not subscription.acknowledged.done():
                subscription.acknowledged.set_exception(SubscribeError(subscription.name, str(reply)))
            log.error("bus subscription refused", channel=key.decode(errors="replace"), error=str(reply))
            self._synchronize(key)

    def _synchronize(self, key: bytes) -> None:
        waiting = self._synchronized
        if waiting is not None and not waiting.done():
            self._to_synchronize.discard(key)
            if not self._to_synchronize:
                waiting.set_result(None)


def _batches(commands: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Group neighbours with the same verb, at most `BATCH` channels each; the order stays."""
    start = 0
    while start < len(commands):
        verb = commands[start][0]
        keys: list[bytes] = []
        for other, key in islice(commands, start, start + BATCH):
            if other != verb:
                break
            keys.append(key)
        start += len(keys)
        yield verb, keys

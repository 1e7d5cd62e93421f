"""The link on which a gateway hears its channels."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import hiredis

from relay.brokers import Sink
from relay.brokers.envelope import EnvelopeError, open_envelope
from relay.brokers.redis.address import Address
from relay.brokers.redis.commands import Command, Subscription, batches
from relay.brokers.redis.link import Link, Replies, pack
from relay.brokers.redis.supervised import PING, SupervisedLink
from relay.channel import INTERNAL
from relay.counters import Counters
from relay.errors import SubscribeError
from relay.logs import Logger

RETRY_SECONDS = 1.0
"""How often channels that Redis refuses are asked for again, while clients rely on them."""

REPORT_REFUSAL_SECONDS = 10.0
"""How often refusals are logged: strangers choose the channels."""

log = Logger("relay.bus")


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

    Attributes:
        answered_until: loop time at which the last PING that Redis has answered was sent.
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
        self._wanted: dict[bytes, Subscription] = {}
        # What Redis hasn't been told yet: (verb, channel); written at the end of the tick.
        self._outbox: list[tuple[bytes, bytes]] = []
        # What Redis hasn't answered yet, in order.
        self._unanswered: deque[Command] = deque()
        # Channels with clients that Redis refuses since the link was reopened; they are asked for again and again.
        self._forbidden: set[bytes] = set()
        self._retry: asyncio.TimerHandle | None = None
        # While a fresh link is brought into use: what must be answered before it counts as open.
        self._synchronized: asyncio.Future[None] | None = None
        self._to_synchronize: set[bytes] = set()
        self._lost_at: float | None = None
        self._missed: set[bytes] = set()
        self._report_refusal_at = 0.0
        self._pinged_at: deque[float] = deque()
        self.answered_until = 0.0

    def __len__(self) -> int:
        """Return how many channels are wanted, the probe's not counted."""
        return len(self._wanted)

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """See `Broker.subscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.get(key)
        if subscription is None:
            acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            subscription = self._wanted[key] = Subscription(channel, acknowledged)
            self._command(b"SUBSCRIBE", key)
        return subscription.acknowledged

    def unsubscribe(self, channel: str) -> None:
        """See `Broker.unsubscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.pop(key, None)
        if subscription is not None:
            subscription.acknowledged.cancel()
            self._forbidden.discard(key)
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
            self._sink.gap([self._wanted[key].name for key in self._missed & self._wanted.keys()], seconds)
        self._lost_at = None
        self._missed = set(self._forbidden)
        # `open` turns true when this returns; what waited for it goes on right after.
        asyncio.get_running_loop().call_soon(self._changed)

    def lost(self, reason: str) -> None:
        """Remember which channels of clients may miss messages from now on; no channel counts as heard any more."""
        loop = asyncio.get_running_loop()
        if self._lost_at is None:
            self._lost_at = loop.time()
        for key, subscription in self._wanted.items():
            if subscription.acknowledged.done():
                subscription.acknowledged = loop.create_future()
                if not subscription.name.startswith(INTERNAL):
                    self._missed.add(key)
        self._outbox.clear()
        self._unanswered.clear()
        self._pinged_at.clear()
        self._forbidden.clear()
        self._synchronized = None
        self._changed()

    def link_writable(self, writable: bool) -> None:
        """Nothing waits: subscriptions are few bytes."""

    async def stop(self) -> None:
        """Disconnect and ask for nothing more."""
        if self._retry is not None:
            self._retry.cancel()
        await super().stop()

    @property
    def refusals(self) -> list[str]:
        """Say whether there are channels with clients that Redis doesn't let this gateway hear."""
        return [f"bus subscriptions: Redis refuses {len(self._forbidden)} channel(s)"] if self._forbidden else []

    def ping(self, link: Link) -> None:
        """Write a PING, and keep the place of its reply among those of the commands."""
        link.write(PING)
        self._unanswered.append(Command(b"PING", deque([b""]), deque([None])))
        self._pinged_at.append(asyncio.get_running_loop().time())

    def replies_received(self, replies: Replies) -> None:
        """Hand on messages; settle acknowledgements."""
        wanted = self._wanted
        receive = self._sink.receive
        while (reply := replies()) is not False:
            if type(reply) is not list:
                self._settle_error(reply)
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
            else:
                self._settle(reply[1])

    def _command(self, verb: bytes, key: bytes) -> None:
        if self._synchronized is None:
            return  # no link: `opened` subscribes to everything that is wanted then
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append((verb, key))

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        self._write(list(batches(outbox)))

    def _write(self, commands: list[tuple[bytes, list[bytes]]]) -> None:
        if self.link is None:
            return
        for verb, keys in commands:
            wanted = deque(self._wanted.get(key) if verb == b"SUBSCRIBE" else None for key in keys)
            for subscription in wanted:
                if subscription is not None:
                    subscription.unanswered += 1
            self._unanswered.append(Command(verb, deque(keys), wanted))
        self.link.write(b"".join([pack(verb, *keys) for verb, keys in commands]))

    def _settle(self, name: bytes) -> None:
        """Take the oldest command's next answer."""
        if not self._unanswered or (self._unanswered[0].keys[0] != name):
            self.abort(f"unexpected answer about {name!r:.200}")
            return
        command = self._unanswered[0]
        key, subscription = command.keys.popleft(), command.wanted.popleft()
        if not command.keys:
            self._unanswered.popleft()
        if command.verb == b"PING":
            self.answered_until = self._pinged_at.popleft()
        if command.verb != b"SUBSCRIBE":
            return
        self._synchronize(key)
        if subscription is None:
            return
        subscription.unanswered -= 1
        if subscription.unanswered == 0 and not subscription.acknowledged.done():
            subscription.heard = True
            subscription.acknowledged.set_result(None)
            if key in self._forbidden:
                self._forbidden.discard(key)
                self._missed.discard(key)
                if not subscription.name.startswith(INTERNAL):
                    self._sink.gap([subscription.name], 0.0)

    def _settle_error(self, reply: object) -> None:
        """Settle an error reply: it answers the oldest command, as a whole (an ACL forbids a channel, say)."""
        self._counters.bus_errors += 1
        if not isinstance(reply, hiredis.ReplyError) or not self._unanswered:
            self.abort(f"unexpected reply: {reply!r:.200}")
            return
        verb, keys, wanted = self._unanswered.popleft()
        if verb != b"SUBSCRIBE":
            self.abort(f"{verb.decode()} refused: {reply}")
            return
        if list(keys) == [self._probe]:
            self.abort(f"probe channel refused: {reply}")
            return
        for subscription in wanted:
            if subscription is not None:
                subscription.unanswered -= 1
        # Those that were left, or left and wanted anew, have a later command of their own.
        left = [key for key, subscription in zip(keys, wanted, strict=True) if self._wanted.get(key) is subscription]
        if len(keys) > 1:
            # One forbidden channel must not keep the others of its batch from being heard.
            self._write([(b"SUBSCRIBE", [key]) for key in left])
            return
        for key in left:
            self._refuse(key, self._wanted[key], str(reply))
        self._synchronize(keys[0])

    def _refuse(self, key: bytes, subscription: Subscription, error: str) -> None:
        """Give up a channel that Redis doesn't allow; one that clients rely on is asked for again."""
        if not subscription.heard:
            del self._wanted[key]
            if not subscription.acknowledged.done():
                subscription.acknowledged.set_exception(SubscribeError(subscription.name, error))
                subscription.acknowledged.exception()  # seen, also when the client has left
        else:
            self._forbidden.add(key)
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._ask_again)
        now = asyncio.get_running_loop().time()
        if now >= self._report_refusal_at:
            self._report_refusal_at = now + REPORT_REFUSAL_SECONDS
            log.error("bus subscription refused", channel=subscription.name, error=error)

    def _ask_again(self) -> None:
        self._retry = None
        for key in self._forbidden:
            self._command(b"SUBSCRIBE", key)

    def _synchronize(self, key: bytes) -> None:
        waiting = self._synchronized
        if waiting is not None and not waiting.done():
            self._to_synchronize.discard(key)
            if not self._to_synchronize:
                waiting.set_result(None)

"""The link on which a gateway hears its channels."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import hiredis

from relay.brokers import Sink
from relay.brokers.envelope import EnvelopeError, open_envelope
from relay.brokers.redis.address import Address
from relay.brokers.redis.gaps import Gaps
from relay.brokers.redis.link import Link, Replies, pack
from relay.brokers.redis.refused_channels import RefusedChannels
from relay.brokers.redis.subscribe_commands import BusSubscription, Command, batches
from relay.brokers.redis.supervised import PING, SupervisedLink
from relay.channel import INTERNAL
from relay.errors import SubscribeError
from relay.logs import Logger
from relay.metrics.counters import Counters

RETRY_SECONDS = 1.0
"""How often channels that Redis refuses are asked for again, while clients rely on them."""

log = Logger("relay.bus")


class Subscriptions(SupervisedLink):
    """All bus subscriptions of one gateway, on one link.

    They survive the link: a new one subscribes to everything again before it counts as open. The node is told of gaps.

    Args:
        address, timeout, interval, counters: see `SupervisedLink`.
        prefix: of every channel name on the bus.
        probe: name, on the bus, of the channel on which the broker hears itself; always subscribed.
        sink: who gets the messages.
        echo: called with the payload of each message on the probe channel.
        changed: called when `open` has changed.

    Attributes:
        gaps: those that are not over yet.
        refusals: channels that are needed, and that Redis refuses.
    """

    # Messages may keep an answer waiting in Redis' buffer. Probes tell sooner; this is for when there are none.
    answer_limit = 10.0

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
        self._wanted: dict[bytes, BusSubscription] = {}
        # What Redis hasn't been told yet: (verb, channel); written at the end of the tick.
        self._outbox: list[tuple[bytes, bytes]] = []
        # What Redis hasn't answered yet, in order.
        self._unanswered: deque[Command] = deque()
        self.refused = RefusedChannels(self._probe)
        self._retry: asyncio.TimerHandle | None = None
        # While a link is used: done when it is in step with what is wanted, so that it counts as open.
        self._synchronized: asyncio.Future[None] | None = None
        self._opening = 0  # commands that must be answered before
        self.gaps = Gaps(sink.gap, time.monotonic)
        self._ending = False

    def __len__(self) -> int:
        """Return how many channels are wanted, the probe's not counted."""
        return len(self._wanted)

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """See `Broker.subscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.get(key)
        if subscription is None:
            subscription = self._wanted[key] = BusSubscription(channel, asyncio.get_running_loop().create_future())
            self._command(b"SUBSCRIBE", key)
        return subscription.acknowledged

    def unsubscribe(self, channel: str) -> None:
        """See `Broker.unsubscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.pop(key, None)
        if subscription is not None:
            subscription.acknowledged.cancel()
            if self.refused.remove(key):
                self.gaps.end_one(channel)
            if subscription.heard and self.open:
                self.gaps.leave(channel)
            self._command(b"UNSUBSCRIBE", key)

    async def opened(self, link: Link) -> None:
        """Subscribe to everything that is wanted, and wait until Redis has answered all of it."""
        self._outbox.clear()
        self._synchronized = asyncio.get_running_loop().create_future()
        for subscription in self._wanted.values():
            subscription.unanswered = 0
        self.gaps.link_opened()
        self._write(list(batches([(b"SUBSCRIBE", key) for key in (self._probe, *self._wanted)])), opening=True)
        await asyncio.wait((self._synchronized, link.closed), return_when=asyncio.FIRST_COMPLETED)
        if link.closed.done():
            return
        self.gaps.end(but={self._wanted[key].name for key in self.refused if key in self._wanted})
        # `open` turns true when this returns; what waited for it goes on right after.
        asyncio.get_running_loop().call_soon(self._changed)

    def lost(self, reason: str) -> None:
        """Begin the gap of all channels of clients that were heard; no channel counts as heard any more."""
        heard = [subscription for subscription in self._wanted.values() if subscription.acknowledged.done()]
        for subscription in heard:
            subscription.acknowledged = asyncio.get_running_loop().create_future()
        if not self._ending or self.gaps.invalidated:
            names = (subscription.name for subscription in heard)
            self.gaps.begin([name for name in names if not name.startswith(INTERNAL)], self.heartbeat.answered_until)
        self._outbox.clear()
        self._unanswered.clear()
        self._opening = 0
        self.refused.clear()
        self._synchronized = None
        self._changed()

    def heard_probe(self, sent_at: float) -> None:
        """Take note that a probe that was sent at a time has come in, behind all that Redis had answered before.

        So a question older than the probe, by more than a network may need, has never arrived: this link hears, and
        can't speak.
        """
        self.gaps.heard(sent_at)
        if self.heartbeat.sent_at is not None and sent_at - self.heartbeat.sent_at >= self._timeout:
            self.abort(f"no answer for {self._timeout:g} s, though it is heard")

    def link_writable(self, writable: bool) -> None:
        """Nothing waits: subscriptions are few bytes."""

    async def drain(self) -> None:
        """See whether all was heard that was said until now; what wasn't is a gap, which `stop` tells."""
        if self.open and not self.gaps.invalidated and not await self.caught_up():
            self.gaps.invalidate(self.heartbeat.answered_until)

    async def stop(self) -> None:
        """Disconnect and ask for nothing more. Gaps that are open are told now: there is no later moment."""
        if self._retry is not None:
            self._retry.cancel()
        self._ending = True
        await super().stop()
        self.gaps.end()

    def send_heartbeat(self, link: Link) -> None:
        """Write a PING, and keep the place of its reply among those of the commands."""
        link.write(PING)
        self._unanswered.append(Command(b"PING", deque([b""]), deque([None])))

    def replies_received(self, replies: Replies) -> None:
        """Hand on messages; settle acknowledgements."""
        wanted = self._wanted
        receive = self._sink.receive
        while (reply := replies()) is not False:
            if type(reply) is not list:
                if reply == b"PONG":  # an array, but on a link without any subscription
                    self._settle(b"")
                else:
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

    def _write(self, commands: list[tuple[bytes, list[bytes]]], *, opening: bool = False) -> None:
        if self.link is None:
            return
        self._opening += len(commands) * opening
        for verb, keys in commands:
            wanted = deque(self._wanted.get(key) if verb == b"SUBSCRIBE" else None for key in keys)
            for subscription in wanted:
                if subscription is not None:
                    subscription.unanswered += 1
            self._unanswered.append(Command(verb, deque(keys), wanted, opening))
        self.link.write(b"".join([pack(verb, *keys) for verb, keys in commands]))

    def _settle(self, name: bytes) -> None:
        """Take the oldest command's next answer."""
        if not self._unanswered or (self._unanswered[0].keys[0] != name):
            self.abort(f"unexpected answer about {name!r:.200}")
            return
        command = self._unanswered[0]
        key, subscription = command.keys.popleft(), command.wanted.popleft()
        if command.verb == b"PING":
            self._answered(name)
        elif command.verb == b"SUBSCRIBE":
            if key == self._probe:
                self.refused.remove(key)
            if subscription is not None:
                self._acknowledge(key, subscription)
        if not command.keys:
            self._unanswered.popleft()
            self._synchronize(command)

    def _answered(self, reply: object) -> None:
        """Take the answer to a question: until it was asked, all was heard."""
        self.heartbeat.answered("PING", reply)
        self.gaps.heard(self.heartbeat.answered_until)

    def _acknowledge(self, key: bytes, subscription: BusSubscription) -> None:
        subscription.unanswered -= 1
        if subscription.unanswered == 0 and not subscription.acknowledged.done():
            subscription.heard = True
            subscription.acknowledged.set_result(None)
            if self.refused.remove(key):
                self.gaps.end_one(subscription.name)

    def _settle_error(self, reply: object) -> None:
        """Settle an error reply: it answers the oldest command, as a whole (an ACL forbids a channel, say)."""
        if not isinstance(reply, hiredis.ReplyError) or not self._unanswered:
            self._counters.bus_errors += 1
            self.abort(f"unexpected reply: {reply!r:.200}")
            return
        command = self._unanswered.popleft()
        verb, keys, wanted, _ = command
        if verb == b"PING":
            self._answered(reply)
            return
        self._counters.bus_errors += 1
        if verb == b"UNSUBSCRIBE":
            # Redis goes on sending what is not wanted any more. Opening the link anew would cost a gap each time.
            self.refused.report(verb.decode(), str(reply))
            return
        for subscription in wanted:
            if subscription is not None:
                subscription.unanswered -= 1
        # Those that were left, or left and wanted anew, have a later command of their own.
        left = [key for key, subscription in zip(keys, wanted, strict=True) if self._wanted.get(key) is subscription]
        if len(keys) > 1:
            # One forbidden channel must not keep the others of its batch from being heard.
            self._write([(b"SUBSCRIBE", [key]) for key in left], opening=command.opening)
        else:
            for key in left:
                self._refuse(key, str(reply))
        self._synchronize(command)

    def _refuse(self, key: bytes, error: str) -> None:
        """Give up a channel that Redis doesn't allow; one that clients rely on, or the probe, is asked for again."""
        subscription = self._wanted.get(key)
        if subscription is not None and not subscription.heard:
            del self._wanted[key]
            if not subscription.acknowledged.done():
                subscription.acknowledged.set_exception(SubscribeError(subscription.name, error))
                subscription.acknowledged.exception()  # seen, also when the client has left
        else:
            self.refused.add(key, error)
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._ask_again)
        self.refused.report("probe" if subscription is None else subscription.name, error)

    def _ask_again(self) -> None:
        self._retry = None
        for key in self.refused:
            self._command(b"SUBSCRIBE", key)

    def _synchronize(self, command: Command) -> None:
        """Take note that a command is answered: the last of those that open the link brings it into use."""
        if command.opening:
            self._opening -= 1
            if not self._opening and self._synchronized is not None and not self._synchronized.done():
                self._synchronized.set_result(None)

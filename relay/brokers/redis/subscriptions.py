"""The link on which a gateway subscribes to channels and receives their messages."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import hiredis

from relay.brokers import Sink
from relay.brokers.envelope import EnvelopeError, open_envelope
from relay.brokers.redis.address import Resolver
from relay.brokers.redis.gaps import Gaps
from relay.brokers.redis.link import Link, Replies, pack
from relay.brokers.redis.refused_channels import RefusedChannels
from relay.brokers.redis.subscribe_commands import BusSubscription, Command, batches
from relay.brokers.redis.supervised_link import PING, SupervisedLink
from relay.brokers.redis.verbs import PUBSUB, Verbs
from relay.channel import tells_gaps
from relay.errors import SubscribeError
from relay.logs import Logger
from relay.message import Message, PositionedMessage
from relay.metrics.counters import Counters

log = Logger("relay.bus")


class Subscriptions(SupervisedLink):
    """All subscriptions of one gateway at one Redis, on one link.

    They survive the link: a new one subscribes to all channels again before it counts as open. Gaps go to the sink.

    Args:
        resolve, timeout, interval, counters: see `SupervisedLink`.
        prefix: of every channel name on the bus.
        probe: name, on the bus, of the channel for probes; always subscribed.
        sink: receives messages with positions, and gaps.
        receiver: returns what gets the messages of a channel without positions; it is asked once per subscription.
        probe_received: called with the payload of each message on the probe channel.
        changed: called when `open` has changed.
        verbs: the kind of pub/sub.

    Attributes:
        gaps: those that are not over yet.
        refused: channels that are needed, and that Redis refuses.
    """

    # Messages may delay a reply in Redis' buffer. Probes tell sooner; this is for when there are none.
    answer_limit = 10.0

    def __init__(
        self,
        resolve: Resolver,
        timeout: float,
        interval: float,
        counters: Counters,
        *,
        prefix: str,
        probe: bytes,
        sink: Sink,
        receiver: Callable[[str], Callable[[Message], None]],
        probe_received: Callable[[bytes], None],
        changed: Callable[[], None],
        verbs: Verbs = PUBSUB,
    ) -> None:
        super().__init__(resolve, "subscriptions", timeout, interval, counters)
        self._prefix = prefix.encode()
        self._probe = probe
        self._sink = sink
        self._receiver = receiver
        self._probe_received = probe_received
        self._changed = changed
        self._verbs = verbs
        self._wanted: dict[bytes, BusSubscription] = {}
        self._outbox: list[tuple[bytes, bytes]] = []  # (verb, channel), to be written at the end of the tick
        self._unanswered: deque[Command] = deque()  # those that Redis hasn't answered yet, in order
        self.refused = RefusedChannels(probe, lambda key: self._command(verbs.subscribe, key))
        # While there is a link: done when all wanted channels are subscribed, so that it counts as open.
        self._synchronized: asyncio.Future[None] | None = None
        self._opening = 0  # commands that must be answered before
        self.gaps = Gaps(sink.gap, time.monotonic)
        self._ending = False

    def __len__(self) -> int:
        """Return how many channels are wanted, but the probe's."""
        return len(self._wanted)

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """See `Broker.subscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.get(key)
        if subscription is None:
            subscription = self._wanted[key] = BusSubscription(channel, self._receiver(channel))
            self._command(self._verbs.subscribe, key)
        return subscription.acknowledged

    def unsubscribe(self, channel: str) -> None:
        """See `Broker.unsubscribe`."""
        key = self._prefix + channel.encode()
        subscription = self._wanted.pop(key, None)
        if subscription is not None:
            subscription.acknowledged.cancel()
            if self.refused.remove(key):
                self.gaps.end_one(channel)
            if subscription.heard and self.open and tells_gaps(channel):
                self.gaps.leave(channel)
            self._command(self._verbs.unsubscribe, key)

    async def opened(self, link: Link) -> None:
        """Subscribe to all wanted channels, and wait until Redis has answered all commands."""
        self._outbox.clear()
        self._synchronized = asyncio.get_running_loop().create_future()
        for subscription in self._wanted.values():
            subscription.unanswered = 0
        self.gaps.link_opened()
        commands = [(self._verbs.subscribe, key) for key in (self._probe, *self._wanted)]
        self._write(list(batches(commands)), opening=True)
        await asyncio.wait((self._synchronized, link.closed), return_when=asyncio.FIRST_COMPLETED)
        if link.closed.done():
            return
        self.gaps.end_heard(self._wanted.values())
        # `open` turns true when this returns; messages that waited for it go out right after.
        asyncio.get_running_loop().call_soon(self._changed)

    def lost(self, reason: str) -> None:
        """Begin the gap of all clients' channels that were heard; no channel counts as heard any more."""
        heard = [subscription for subscription in self._wanted.values() if subscription.acknowledged.done()]
        for subscription in heard:
            subscription.acknowledged = asyncio.get_running_loop().create_future()
        if not self._ending or self.gaps.invalidated:
            names = [subscription.name for subscription in heard if tells_gaps(subscription.name)]
            self.gaps.begin(names, self.heartbeat.answered_until)
        self._outbox.clear()
        self._unanswered.clear()
        self._opening = 0
        self.refused.clear()
        self._synchronized = None
        self._changed()

    def probe_heard(self, sent_at: float) -> None:
        """Note that a probe that was sent at a time, in seconds, has come in behind all that Redis had sent before.

        So a heartbeat that is older than the probe, by more than a network may need, has never arrived: this link
        receives, and can't send.
        """
        self.gaps.heard(sent_at)
        if self.heartbeat.sent_at is not None and sent_at - self.heartbeat.sent_at >= self._timeout:
            self.abort(f"no answer for {self._timeout:g} s, though it is heard")

    def link_writable(self, writable: bool) -> None:
        """Do nothing: subscriptions are few bytes, which never wait for the socket."""

    async def drain(self) -> None:
        """Check whether everything published until now was received; if not, there is a gap, which `stop` reports."""
        if self.open and not self.gaps.invalidated and not await self.caught_up():
            self.gaps.invalidate(self.heartbeat.answered_until)

    async def stop(self) -> None:
        """Disconnect and subscribe no more. Open gaps are reported now: there is no later moment."""
        self.refused.stop()
        self._ending = True
        await super().stop()
        self.gaps.end()

    def send_heartbeat(self, link: Link) -> None:
        """Write a PING. Its reply comes between those of the commands: so does its entry in the queue."""
        link.write(PING)
        self._unanswered.append(Command(b"PING", deque([b""]), deque([None])))

    def replies_received(self, replies: Replies) -> None:
        """Deliver messages; settle acknowledgements."""
        wanted = self._wanted
        receive_positioned = self._sink.receive_positioned
        verb, gapped = self._verbs.message, self.gaps.channels
        while (reply := replies()) is not False:
            if type(reply) is not list:
                if reply == b"PONG":  # an array, but on a link without any subscription
                    self._settle(b"")
                else:
                    self._settle_error(reply)
            elif reply[0] == verb:
                if (subscription := wanted.get(reply[1])) is not None:
                    try:
                        message = open_envelope(subscription.name, reply[2])
                    except EnvelopeError as error:
                        self._counters.bus_errors += 1
                        log.warning("bus message refused", channel=subscription.name, error=str(error))
                        continue
                    if gapped and subscription.name in gapped:  # clients are told before they get what came behind it
                        self.gaps.end_heard(wanted.values())
                    if type(message) is PositionedMessage:
                        receive_positioned(message)
                    else:
                        subscription.receive(message)
                elif reply[1] == self._probe:
                    self._probe_received(reply[2])
            else:
                self._settle(reply[1])

    def _command(self, verb: bytes, key: bytes) -> None:
        if self._synchronized is None:
            return  # no link: `opened` will subscribe to all wanted channels
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append((verb, key))

    def _flush(self) -> None:
        self._write(list(batches(self._outbox)))
        self._outbox.clear()

    def _write(self, commands: list[tuple[bytes, list[bytes]]], *, opening: bool = False) -> None:
        if self.link is None:
            return
        self._opening += len(commands) * opening
        for verb, keys in commands:
            wanted = deque(self._wanted.get(key) if verb == self._verbs.subscribe else None for key in keys)
            for subscription in filter(None, wanted):
                subscription.unanswered += 1
            self._unanswered.append(Command(verb, deque(keys), wanted, opening))
        self.link.write(b"".join([pack(verb, *keys) for verb, keys in commands]))

    def _settle(self, name: bytes) -> None:
        """Take the next reply to the oldest command."""
        if not self._unanswered or (self._unanswered[0].keys[0] != name):
            self.abort(f"unexpected answer about {name!r:.200}")
            return
        command = self._unanswered[0]
        key, subscription = command.keys.popleft(), command.wanted.popleft()
        if command.verb == b"PING":
            self._answered(name)
        elif command.verb == self._verbs.subscribe:
            if subscription is not None:
                self._acknowledge(key, subscription)
            elif key == self._probe:
                self.refused.remove(key)
        if not command.keys:
            self._unanswered.popleft()
            self._synchronize(command)

    def _answered(self, reply: object) -> None:
        """Take the reply to a heartbeat: everything published until it was sent was received."""
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
        """Settle an error reply: it answers the oldest command as a whole (an ACL forbids a channel, say)."""
        if not isinstance(reply, hiredis.ReplyError) or not self._unanswered:
            self._counters.bus_errors += 1
            self.abort(f"unexpected reply: {reply!r:.200}")
            return
        verb, keys, wanted, _ = command = self._unanswered.popleft()
        if verb == b"PING":
            self._answered(reply)
            return
        self._counters.bus_errors += 1
        if verb == self._verbs.unsubscribe:
            # Redis goes on sending a channel that is no longer wanted. Reopening the link would cost a gap each time.
            self.refused.report(verb.decode(), str(reply))
            return
        for subscription in filter(None, wanted):
            subscription.unanswered -= 1
        # Channels that were unsubscribed meanwhile, or unsubscribed and subscribed again, have a later command.
        left = [key for key, subscription in zip(keys, wanted, strict=True) if self._wanted.get(key) is subscription]
        if len(keys) > 1:
            # One forbidden channel must not keep the others of its batch from being heard.
            self._write([(self._verbs.subscribe, [key]) for key in left], opening=command.opening)
        else:
            for key in left:
                self._refuse(key, str(reply))
        self._synchronize(command)

    def _refuse(self, key: bytes, error: str) -> None:
        """Fail the subscription that Redis refuses; one that clients rely on, and the probe, is retried."""
        subscription = self._wanted.get(key)
        if subscription is not None and not subscription.heard:
            del self._wanted[key]
            if not subscription.acknowledged.done():
                subscription.acknowledged.set_exception(SubscribeError(subscription.name, error))
                subscription.acknowledged.exception()  # retrieved here, because the client may have left
        else:
            self.refused.add(key, error)
        self.refused.report("probe" if subscription is None else subscription.name, error)

    def _synchronize(self, command: Command) -> None:
        """Note that a command is answered: the last one that opens a link brings it into use."""
        if command.opening:
            self._opening -= 1
            if not self._opening and self._synchronized is not None and not self._synchronized.done():
                self._synchronized.set_result(None)

"""The link on which a gateway publishes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from relay.brokers import Receipt, Source
from relay.brokers.redis.address import Resolver
from relay.brokers.redis.link import Link, Replies, pack
from relay.brokers.redis.publish_failures import PublishFailures
from relay.brokers.redis.publish_queue import PendingPublish, PendingScript, PublishQueue
from relay.brokers.redis.publish_replies import EXPECTED, PublishReplies
from relay.brokers.redis.script_calls import ScriptCall, size_of
from relay.brokers.redis.scripting import Scripting
from relay.brokers.redis.server import REPLICAS, role_of
from relay.brokers.redis.supervised_link import PING, SupervisedLink
from relay.brokers.shares import Share
from relay.errors import BusUnavailable
from relay.metrics.counters import Counters

PROBE_BYTES = 1024
"""More than a probe takes."""

HELLO = pack("HELLO")


class Publications(SupervisedLink):
    """All messages that a gateway publishes, in order, on one link.

    A message waits until the link is open and `gate` lets it pass; all messages of a tick go out in one write. It is
    written once: if the link breaks before the reply, it fails with `DeliveryUnknown`. If it can't be written within
    `publish_timeout` seconds, it fails with `BusUnavailable`. These failures drop all messages of the same source that
    still wait, so no later message overtakes a lost one. Messages that were written behind one that Redis refuses
    can't be called back: Redis may have taken them.

    Each kind of publishers has a share of the buffer (`relay.brokers.shares`). Clients are paused one by one as
    they publish while `HIGH_WATER_BYTES` of their messages wait. When their share is used up (`congested`), whatever
    else a client has sent must stay with it; so the share takes one more message, however many clients there are.

    Args:
        resolve, timeout, interval, counters: see `SupervisedLink`.
        gate: returns whether messages may go out now; call `update` when the answer has changed.
        writable: called when paused sources may go on.
        demoted: called when the Redis at the other end has become a replica; it must drop the link.
        publish_timeout: seconds.
        buffer_bytes: bound of all messages that wait for Redis or for its reply, and one message for each share.
        scripting: prepares each link for scripts.

    Attributes:
        passing: whether a message that is published now goes out at the end of the tick.
        congested: whether the clients' share of the buffer is used up; `writable` is called when there is room again.
    """

    def __init__(
        self,
        resolve: Resolver,
        timeout: float,
        interval: float,
        counters: Counters,
        *,
        gate: Callable[[], bool],
        writable: Callable[[], None],
        demoted: Callable[[], None],
        publish_timeout: float,
        buffer_bytes: int,
        scripting: Scripting,
    ) -> None:
        super().__init__(resolve, "publications", timeout, interval, counters)
        self._loop = asyncio.get_running_loop()
        self._gate = gate
        self._on_writable = writable
        self._on_demoted = demoted
        self._publish_timeout = publish_timeout
        self._queue = PublishQueue(buffer_bytes)
        self._failures = PublishFailures(self._queue, counters)
        self._scripting = scripting
        self._replies = PublishReplies(self._queue, self._failures, scripting, counters)
        self._paused = False
        self._flush_scheduled = False
        self._batch_began_at = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._drain_began_at = 0.0
        self.passing = False
        self.congested = False

    @property
    def full(self) -> bool:
        """Whether there is hardly any room for another message."""
        return self._queue.size + PROBE_BYTES > self._queue.buffer_bytes

    @property
    def buffered(self) -> dict[Share, int]:
        """Bytes that wait for Redis or for its reply, by share."""
        return self._queue.by_share

    def publish(
        self,
        command: bytes | ScriptCall,
        source: Source | None,
        receipt: Receipt | Callable[[Any], None] | None = None,
    ) -> bool:
        """Accept a packed PUBLISH; see `Broker.publish`. A probe has no source, and its receipt gets the bare reply.

        Args:
            command: the PUBLISH, or the call of a script that publishes instead.
            source, receipt: see above.
        """
        queue = self._queue
        pending: type[PendingPublish]
        if isinstance(command, bytes):
            size, pending = len(command), PendingPublish
        else:
            size, pending = size_of(command), PendingScript
            queue.scripts_wait = True
        if receipt is not None or self.congested:
            if source is not None and queue.used_up(source.share):
                self._failures.no_room(source, receipt)
                return False
            if source is not None and receipt is not None:
                queue.charge(source.share, size)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._batch_began_at = time.monotonic()
            self._loop.call_soon(self._flush)
        queue.unsent.append(command)
        queue.pending.append(pending(source, size, self._batch_began_at, receipt))
        queue.size += size
        waiting = queue.size - queue.of_others
        if self.passing and waiting < queue.high_water:
            return True
        self._paused = True
        self.congested = waiting >= queue.client_limit
        return False

    def hold_back(self) -> bool:
        """See `Broker.hold_back`."""
        if self._queue.client_bytes < self._queue.low_water:
            return False
        self._paused = True
        return True

    def unsettled(self) -> set[Source]:
        """See `Broker.unsettled`."""
        return self._queue.sources()

    def update(self) -> None:
        """Check again whether messages may pass, and go on if they may."""
        hears = self._gate()
        may_write = self.open and self._scripting.ready and not self._queue.holding and hears
        self.passing = may_write and self.link is not None and self.link.writable
        if self.passing:
            self._flush()
            self._resume()
        elif not hears:
            self._resume_to_fail()

    async def drain(self) -> None:
        """Wait until Redis has replied to all messages that were accepted before."""
        self._drain_began_at = time.monotonic()
        drained = self._drained = self._loop.create_future()
        self._end_drain(drained)
        await drained

    def give_up(self) -> None:
        """Fail all messages that wait, now. The link is reopened: late replies mean nothing more."""
        self.abort("given up")
        self.lost("given up")
        self._failures.fail(BusUnavailable("given up"), self._queue.sources())

    async def stop(self) -> None:
        """Disconnect; the messages that still wait fail."""
        await super().stop()
        if self._deadline is not None:
            self._deadline.cancel()
        self._failures.fail(BusUnavailable("the gateway ends"), self._queue.sources())

    async def opened(self, link: Link) -> None:
        """Go on with the messages that wait, once `open` is true."""
        self._scripting.begin(self._ask, self.update)
        self._loop.call_soon(self.update)

    def lost(self, reason: str) -> None:
        """Fail the messages without a reply: their delivery is unknown."""
        self.passing = False
        self._failures.unanswered(reason)
        self._arm_deadline()
        self._resume()
        self._resume_to_fail()

    def link_writable(self, writable: bool) -> None:
        """Hold back while the socket is full."""
        self.update()

    def send_heartbeat(self, link: Link) -> None:
        """Ask for the server's role, and remind publishers of the namespaces."""
        self._scripting.remind(self._ask)
        self._ask(PING if link.server.role is None else HELLO, self._role_received)

    def _ask(self, command: bytes, answered: Callable[[Any], None]) -> None:
        """Ask Redis something. The reply comes between those of the messages: so does its entry in the queue."""
        if self.link is not None:
            self.link.write(command)
            pending = self._queue.pending
            entry = PendingPublish(None, 0, time.monotonic(), answered)
            pending.insert(len(pending) - len(self._queue.unsent), entry)

    def _role_received(self, reply: Any) -> None:
        """Take the reply of a primary. What a replica acknowledged since the last one never reached the primary."""
        if role_of(reply) in REPLICAS:
            self._on_demoted()
        else:
            self.heartbeat.answered("PING or HELLO", reply)

    def replies_received(self, replies: Replies) -> None:
        """Settle the oldest message without a reply with each reply."""
        unexpected = self._replies.take(replies)
        if self._queue.blocked:
            self._unblock(unexpected is EXPECTED)
        if self._paused or self.congested or self._drained is not None:  # looked at here: they seldom are
            self._resume()
        if unexpected is not EXPECTED:
            self.abort(f"unexpected reply: {unexpected!r:.200}")

    def _unblock(self, expected: bool) -> None:
        """Write held messages again, once all that was written is answered; `expected`: the link stays."""
        queue = self._queue
        if queue.holding:
            self.passing = False
            if len(queue.pending) == len(queue.unsent):
                queue.release()
                self._scripting.load(self._ask)
        if not queue.holding:  # released; or dropped, when its sources had failed
            queue.blocked = False
            if expected:
                self.update()

    def _flush(self) -> None:
        """Write all messages that wait, if they may go out now."""
        self._flush_scheduled = False
        unsent = self._queue.unsent
        if not unsent:
            return
        if not self.passing or self.link is None:
            self._arm_deadline()
            return
        if self._queue.scripts_wait:
            self.link.write(self._queue.take_unsent(self._scripting.middle, self._scripting.merges))
        else:
            self.link.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))
            unsent.clear()

    def _resume(self) -> None:
        """Let paused sources go on, if there is room; end the drain when no message is left."""
        waiting = self._queue.client_bytes
        # Also while Redis is away: messages that a paused client has kept must get their turn to fail.
        if (self._paused and self.passing and waiting < self._queue.low_water) or (
            self.congested and waiting <= self._queue.client_limit // 2
        ):
            self._paused = self.congested = False
            self._on_writable()
        if self._drained is not None:
            self._end_drain(self._drained)

    def _resume_to_fail(self) -> None:
        """Let paused sources go on, as an outage begins: the messages that they have kept must get their turn to fail.

        Nothing of a source that was held back may wait here, so nothing else would tell it. While the clients' share is
        used up, they go on when messages have expired.
        """
        if self._paused and not self.congested:
            self._paused = False
            self._on_writable()

    def _end_drain(self, drained: asyncio.Future[None]) -> None:
        """End the drain when the messages that were accepted before it are settled."""
        pending = self._queue.pending
        newer = pending and pending[0].source is not None and not self._queue.holding
        if not self._queue.size or (newer and pending[0].accepted_at > self._drain_began_at):
            self._drained = None
            if not drained.done():
                drained.set_result(None)

    def _arm_deadline(self) -> None:
        if self._deadline is None and self._queue.unsent:
            oldest = self._queue.pending[-len(self._queue.unsent)]
            left = oldest.accepted_at + self._publish_timeout - time.monotonic()
            self._deadline = self._loop.call_later(max(0.0, left), self._expire)

    def _expire(self) -> None:
        """Fail the messages that have waited for longer than the publish timeout."""
        self._deadline = None
        self._failures.expired(self._publish_timeout, self.problem)
        self._arm_deadline()
        self._resume()

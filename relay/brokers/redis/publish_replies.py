"""The replies of Redis to what is published, each of which settles the oldest message without one."""

from __future__ import annotations

import time
from typing import Any, Final

import hiredis

from relay.brokers import Published
from relay.brokers.redis.call_replies import CallReplies
from relay.brokers.redis.link import Replies
from relay.brokers.redis.publish_failures import PublishFailures
from relay.brokers.redis.publish_queue import PendingPublish, PendingScript, PublishQueue
from relay.brokers.redis.scripting import Scripting
from relay.metrics.counters import Counters

EXPECTED: Final = object()


class PublishReplies:
    """Tells receipts what became of messages, and counts.

    Args:
        queue: the messages on their way.
        failures: tells of those that Redis refuses.
        scripting: learns which primary has answered.
        counters: where messages are counted.
    """

    def __init__(
        self, queue: PublishQueue, failures: PublishFailures, scripting: Scripting, counters: Counters
    ) -> None:
        self._queue = queue
        self._failures = failures
        self._counters = counters
        self._calls = CallReplies(queue, failures, scripting, counters)

    def take(self, replies: Replies) -> object:
        """Settle messages; return the reply that answers none, or that means nothing, and `EXPECTED` without one.

        What follows an unexpected reply isn't looked at. Messages whose script Redis doesn't know any more are held in
        the queue.
        """
        now = time.monotonic()
        queue = self._queue
        pending, unsent = queue.pending, len(queue.unsent)
        latency = self._counters.publish_latency
        published, settled, batch, batch_began_at = 0, 0, 0, 0.0
        unexpected: object = EXPECTED
        may_refuse = False
        reply: Any
        while (reply := replies()) is not False:
            if len(pending) <= unsent:
                unexpected = reply
                break
            entry = pending.popleft()
            size, source, receipt = entry.size, entry.source, entry.receipt
            settled += size
            if source is None:
                if receipt is not None:
                    receipt(reply)
                continue
            if receipt is not None:
                queue.charge(source.share, -size)
            if type(reply) is int and type(entry) is PendingPublish:  # number of receivers
                if entry.accepted_at != batch_began_at:  # once for all messages of a tick
                    if batch:
                        latency.observe(now - batch_began_at, batch)
                    published += batch
                    batch, batch_began_at = 0, entry.accepted_at
                batch += 1
                if receipt is not None:
                    receipt(Published(reply))
                continue
            may_refuse = True
            if type(entry) is PendingScript and (others := self._calls.take(entry, reply, now)) is not None:
                settled += others
            elif isinstance(reply, hiredis.ReplyError):
                self._failures.refused((entry,), str(reply))
            else:
                # No number and no error: what became of the message is unknown. `lost` says so.
                queue.put_back(entry)
                settled -= size
                unexpected = reply
                break
        if batch:
            latency.observe(now - batch_began_at, batch)
        queue.size -= settled
        self._counters.messages_published += published + batch
        if may_refuse:
            self._failures.tell_refused()
        return unexpected

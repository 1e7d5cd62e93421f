"""The replies of Redis to what is published, each of which settles the oldest message without one."""

from __future__ import annotations

import time
from typing import Any, Final

import hiredis

from relay.brokers import Published
from relay.brokers.redis.link import Replies
from relay.brokers.redis.publish_failures import PublishFailures
from relay.brokers.redis.publish_queue import PendingPublish, PendingScript, PublishQueue
from relay.brokers.redis.scripting import Scripting
from relay.metrics.counters import Counters
from relay.position import Position

EXPECTED: Final = object()

OVERTAKEN: Final = "Redis had forgotten the script, and knew it again before a later message of the same publisher"


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
        self._scripting = scripting
        self._counters = counters

    def take(self, replies: Replies) -> object:
        """Settle messages; return the reply that answers none, or that means nothing, and `EXPECTED` without one.

        What follows an unexpected reply isn't looked at. Calls of scripts that Redis doesn't know any more are held in
        the queue.
        """
        now = time.monotonic()
        queue = self._queue
        pending, unsent = queue.pending, len(queue.unsent)
        latency = self._counters.publish_latency
        published, settled, batch, batch_began_at = 0, 0, 0, 0.0
        refused, error = list[PendingPublish](), ""
        unexpected: object = EXPECTED
        reply: Any
        while (reply := replies()) is not False:
            if len(pending) <= unsent:
                unexpected = reply
                break
            entry = pending.popleft()
            source, size, accepted_at, receipt = entry
            settled += size
            if source is None:
                if receipt is not None:
                    receipt(reply)
                continue
            if receipt is not None:
                queue.charge(source.share, -size)
            from_script = type(reply) is list and type(entry) is PendingScript
            if from_script or type(reply) is int:  # number of receivers
                if accepted_at != batch_began_at:  # once for all messages of a tick
                    if batch:
                        latency.observe(now - batch_began_at, batch)
                    published += batch
                    batch, batch_began_at = 0, accepted_at
                batch += 1
                if from_script:
                    published -= self._note(reply)
                    if queue.holding and (overtaken := queue.take_overtaken(source)):
                        refused, error = [*refused, *overtaken], OVERTAKEN
                if receipt is not None:
                    receipt(_published(reply) if from_script else Published(reply))
            elif isinstance(reply, hiredis.ReplyError):
                if type(entry) is PendingScript and self._hold(entry, str(reply)):
                    settled -= size
                else:
                    refused.append(entry)
                    error = str(reply)
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
        if refused:
            self._failures.refused(refused, error)
        return unexpected

    def _note(self, reply: list[Any]) -> int:
        """Take note of a script's answer; return whether it was given before, to an earlier message, as a number."""
        self._queue.calls.popleft()
        self._scripting.found = True
        if len(reply) > 4:
            self._scripting.primary_is(reply[4])
        repeated: int = reply[3]
        self._counters.messages_repeated += repeated
        return repeated

    def _hold(self, entry: PendingScript, error: str) -> bool:
        """Keep a call that has found no script, unless there never will be one."""
        call = self._queue.calls.popleft()
        if not error.startswith("NOSCRIPT") or self._scripting.hopeless:
            return False
        self._queue.hold(entry, call)
        return True


def _published(reply: list[Any]) -> Published:
    """Return what a script has answered; see `relay.brokers.redis.scripts`."""
    offset, epoch, receivers, repeated, *_ = reply
    return Published(receivers, Position(epoch.decode(), offset) if offset else None, bool(repeated))

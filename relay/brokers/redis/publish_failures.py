"""Failures of publishing: tells sources and receipts which messages were not, or perhaps not, published."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping

from relay.brokers import Receipt, Source
from relay.brokers.redis.publish_queue import PendingPublish, PublishQueue
from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishError, PublishRefused
from relay.logs import Logger
from relay.metrics.counters import Counters

REPORT_REFUSAL_SECONDS = 10.0
"""How often refusals are logged: Redis may refuse every message of a client."""

log = Logger("relay.bus")


class PublishFailures:
    """Tells sources and receipts, counts, and drops what would overtake a failed message of the same source.

    Args:
        queue: the messages on their way.
        counters: where failures are counted.
    """

    def __init__(self, queue: PublishQueue, counters: Counters) -> None:
        self._queue = queue
        self._counters = counters
        self._report_refusal_at = 0.0
        self._refused: list[tuple[PendingPublish, str]] = []

    def fail(
        self, error: PublishError, sources: Collection[Source | None], gone: Collection[PendingPublish] = ()
    ) -> None:
        """Tell of messages that have failed, and drop the messages of their sources that are not written yet.

        Args:
            error: why.
            sources: whose messages are dropped.
            gone: messages that have failed and are no longer in the queue.
        """
        self._fail_each(dict.fromkeys(sources, error), [(entry, error) for entry in gone])

    def unanswered(self, reason: str) -> None:
        """Fail the messages that were written and have no reply: the link broke, so their delivery is unknown."""
        unanswered = [entry for entry in self._queue.take_unanswered() if entry.source is not None]
        if unanswered:
            sources = {entry.source for entry in unanswered}
            log.warning("deliveries unknown", messages=len(unanswered), sources=len(sources), reason=reason)
            self.fail(DeliveryUnknown(reason), sources, unanswered)

    def expired(self, seconds: float, problem: str | None) -> None:
        """Fail the messages that have waited for longer than `seconds`; `problem` says why, for the log."""
        limit = time.monotonic() - seconds
        late = [entry for entry in self._queue.waiting() if entry.accepted_at <= limit]
        if late:
            sources = {entry.source for entry in late}
            log.warning("publish timeout", messages=len(late), sources=len(sources), problem=problem)
            self.fail(BusUnavailable(f"waited for {seconds:g} s"), sources)

    def no_room(self, source: Source, receipt: Receipt | None) -> None:
        """Tell that a message has no room. Earlier messages of its source still go out."""
        share = source.share
        error = PublishBufferFull(f"{self._queue.by_share[share]} bytes of {share.value} wait for the bus")
        self._counters.publish_failures[error.disconnect.name] += 1
        if receipt is not None:
            receipt(error)
        source.publish_failed(error)

    def refused(self, refused: Iterable[PendingPublish], error: str) -> None:
        """Take messages that Redis has refused, for `tell_refused`.

        Args:
            refused: the messages, which are no longer in the queue.
            error: of the reply.
        """
        self._refused += [(entry, error) for entry in refused]

    def tell_refused(self) -> None:
        """Tell of the messages that Redis has refused.

        All refusals of a chunk at once: each call goes through everything that waits.
        """
        refused, self._refused = self._refused, []
        if not refused:
            return
        self._counters.bus_errors += len(refused)
        errors = {error: PublishRefused(error) for _, error in refused}
        sources: dict[Source | None, PublishError] = {}
        for entry, error in refused:
            if entry.receipt is None:  # with one the publisher learns it for each message; without, a client is closed
                sources.setdefault(entry.source, errors[error])
        self._fail_each(sources, [(entry, errors[error]) for entry, error in refused])
        now = time.monotonic()
        if now >= self._report_refusal_at:
            self._report_refusal_at = now + REPORT_REFUSAL_SECONDS
            log.error("publish refused", messages=len(refused), error=refused[0][1])

    def _fail_each(
        self,
        sources: Mapping[Source | None, PublishError],
        gone: Collection[tuple[PendingPublish, PublishError]],
    ) -> None:
        """Tell of messages that have failed, each with its error; see `fail`. Goes once through all that waits."""
        dropped = [entry for entry in self._queue.drop(sources) if entry.source is not None]
        failures = self._counters.publish_failures
        for entry, error in gone:
            failures[error.disconnect.name] += 1
            if entry.receipt is not None:
                entry.receipt(error)
        for entry in dropped:
            error = sources[entry.source]
            failures[error.disconnect.name] += 1
            if entry.receipt is not None:
                entry.receipt(error if not gone else BusUnavailable("an earlier message failed"))
        for source, error in sources.items():
            if source is not None:
                source.publish_failed(error)

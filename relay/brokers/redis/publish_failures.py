"""Telling of messages that were not, or perhaps not, published."""

from __future__ import annotations

import time
from collections.abc import Collection

from relay.brokers import Receipt, Source
from relay.brokers.redis.publish_queue import Publication, PublishQueue
from relay.errors import BusUnavailable, PublishBufferFull, PublishError, PublishRefused
from relay.logs import Logger
from relay.metrics.counters import Counters

REPORT_REFUSAL_SECONDS = 10.0
"""How often refusals are logged: Redis may refuse every message of a client."""

log = Logger("relay.bus")


class PublishFailures:
    """Tells sources and receipts, counts, and lets nothing of a source overtake what has failed.

    Args:
        queue: what is on its way.
        counters: where failures are counted.
    """

    def __init__(self, queue: PublishQueue, counters: Counters) -> None:
        self._queue = queue
        self._counters = counters
        self._report_refusal_at = 0.0

    def fail(self, error: PublishError, sources: Collection[Source | None], gone: Collection[Publication] = ()) -> None:
        """Tell of messages that have failed, and drop what of their sources is not written yet.

        Args:
            error: why.
            sources: whose messages are dropped.
            gone: what has failed and is no longer in the queue.
        """
        dropped = [publication for publication in self._queue.drop(sources) if publication.source is not None]
        if failed := len(gone) + len(dropped):
            self._counters.publish_failures[error.disconnect.name] += failed
        for publication in gone:
            if publication.receipt is not None:
                publication.receipt(error)
        for publication in dropped:
            if publication.receipt is not None:
                publication.receipt(error if not gone else BusUnavailable("an earlier message failed"))
        for source in sources:
            if source is not None:
                source.publish_failed(error)

    def no_room(self, source: Source, receipt: Receipt | None) -> None:
        """Tell that a message has no room. What its source has published before still goes out."""
        share = source.share
        error = PublishBufferFull(f"{self._queue.by_share[share]} bytes of {share.value} wait for the bus")
        self._counters.publish_failures[error.disconnect.name] += 1
        if receipt is not None:
            receipt(error)
        source.publish_failed(error)

    def refused(self, refused: list[Publication], error: str) -> None:
        """Tell that Redis has refused messages, all of a chunk at once: each look goes through all that waits."""
        self._counters.bus_errors += len(refused)
        # A publisher with a receipt learns it for each message; a client is closed.
        self.fail(PublishRefused(error), {entry.source for entry in refused if entry.receipt is None}, refused)
        now = time.monotonic()
        if now >= self._report_refusal_at:
            self._report_refusal_at = now + REPORT_REFUSAL_SECONDS
            log.error("publish refused", messages=len(refused), error=error)

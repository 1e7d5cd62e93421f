"""A message of a publisher that waits for its outcome."""

from __future__ import annotations

import asyncio

from relay.brokers import Published
from relay.brokers.shares import Share
from relay.errors import PublishError


class Submission:
    """A single message whose publisher waits for the outcome; a `Source`."""

    __slots__ = ("published",)

    share = Share.BACK_ENDS

    def __init__(self, published: asyncio.Future[Published]) -> None:
        self.published = published

    def settle(self, outcome: Published | PublishError) -> None:
        """Settle the future; a `relay.brokers.Receipt`."""
        if self.published.done():
            return
        if isinstance(outcome, PublishError):
            self.published.set_exception(outcome)
            self.published.exception()  # retrieved here, because the caller may have left
        else:
            self.published.set_result(outcome)

    def publish_failed(self, error: PublishError) -> None:
        """Do nothing: the receipt has told the failure; see `Source`."""

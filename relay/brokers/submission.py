"""A message of a publisher that waits for its outcome."""

from __future__ import annotations

import asyncio

from relay.brokers import Delivery
from relay.brokers.shares import Share
from relay.errors import PublishError


class Submission:
    """A single message whose publisher waits for the outcome; a `Source`."""

    __slots__ = ("delivery",)

    share = Share.BACK_ENDS

    def __init__(self, delivery: asyncio.Future[Delivery]) -> None:
        self.delivery = delivery

    def settle(self, outcome: Delivery | PublishError) -> None:
        """Settle the future; a `relay.brokers.Receipt`."""
        if self.delivery.done():
            return
        if isinstance(outcome, PublishError):
            self.delivery.set_exception(outcome)
            self.delivery.exception()  # retrieved here, because the caller may have left
        else:
            self.delivery.set_result(outcome)

    def publish_failed(self, error: PublishError) -> None:
        """Do nothing: the receipt has told the failure; see `Source`."""

"""The messages of one HTTP request on their way to the bus."""

from __future__ import annotations

import asyncio
from collections import deque

from relay.brokers import Delivery
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishError, PublishRefused
from relay.hub import MESSAGE_OVERHEAD_BYTES
from relay.message import Message
from relay.node import Node

WINDOW_BYTES = 256 * 1024
"""What one request may have on its way at a time: a broadcast must not fill the buffer that all publishers share."""

ANSWER_SECONDS = 18.0
"""How long a request waits for the bus, whatever `RELAY_PUBLISH_TIMEOUT` allows: the client wants an answer."""


class PublishWindow:
    """Publishes the messages of a request in order, and tells how each one ended; a `Source`.

    After one that the bus wasn't there to take, none of the request is sent any more: each would wait as long, and
    might overtake it. One that Redis refuses leaves the others alone: they may be for other channels.

    Args:
        node: of this gateway.
        share: of the publish buffer, that the messages count for.
    """

    def __init__(self, node: Node, share: Share) -> None:
        self._node = node
        self.share = share
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + ANSWER_SECONDS
        self._in_flight: deque[tuple[asyncio.Future[Delivery], int]] = deque()
        self._bytes = 0
        self._over = False

    @property
    def seconds_left(self) -> float:
        """How long the request may still wait."""
        return max(0.0, self._ends_at - self._loop.time())

    async def send(self, message: Message) -> asyncio.Future[Delivery]:
        """Publish a message, once there is room for it; returns a future for `acknowledged`."""
        size = len(message.payload) + MESSAGE_OVERHEAD_BYTES
        while self._in_flight and self._bytes + size > WINDOW_BYTES and not self._over:
            future, bytes_ = self._in_flight.popleft()
            self._bytes -= bytes_
            try:
                await self.acknowledged(future)
            except PublishRefused:
                pass  # of that one message; its own sender is told
            except PublishError:
                self._over = True
        if self._over:
            future = self._loop.create_future()
            future.set_exception(BusUnavailable("not sent, because an earlier message of the request failed"))
            future.exception()  # seen, whoever else looks
            return future
        future = self._node.submit(message, self)
        self._in_flight.append((future, size))
        self._bytes += size
        return future

    def publish_failed(self, error: PublishError) -> None:
        """Send nothing more; see `Source`. What was sent already has its receipts."""
        self._over = True

    async def acknowledged(self, future: asyncio.Future[Delivery]) -> Delivery:
        """Wait until the bus has a message, and return its delivery.

        Raises:
            PublishError: it was not, or perhaps not, delivered to the bus.
        """
        await asyncio.wait((future,), timeout=self.seconds_left)
        if not future.done():
            raise DeliveryUnknown("still waiting for the bus; it may yet be published")
        return future.result()

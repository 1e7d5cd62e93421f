"""The messages of one HTTP request on their way to the bus."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from relay.brokers import Published
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishError, PublishRefused
from relay.hub import MESSAGE_OVERHEAD_BYTES
from relay.message import Message, content_bytes
from relay.node import Node

WINDOW_BYTES: Final = 256 * 1024
"""How much of one request may be on its way: a broadcast must not fill the buffer that all publishers share."""

RESPONSE_SECONDS: Final = 18.0
"""How long a request waits for the bus, even if RELAY_PUBLISH_TIMEOUT is longer: its client waits for the response."""


class PublishWindow:
    """Publishes the messages of a request in order, a bounded number of bytes at a time; a `Source`.

    When a message fails because the bus is away, no later message of the request is sent: each would wait as long, and
    might overtake the first. A message that Redis refuses does not affect the others, which may be for other channels.

    Args:
        node: of this gateway.
        share: of the publish buffer that the messages count for.
        seconds: how long the request waits for the bus, in all.
    """

    def __init__(self, node: Node, share: Share, seconds: float = RESPONSE_SECONDS) -> None:
        self._node = node
        self.share = share
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._in_flight: deque[tuple[asyncio.Future[Published], int]] = deque()
        self._bytes = 0
        self._failed = False

    @property
    def seconds_left(self) -> float:
        """How long the request may still wait."""
        return max(0.0, self._deadline - self._loop.time())

    async def publish(self, message: Message, idempotency_key: str | None = None) -> asyncio.Future[Published]:
        """Publish a message once the window has room for it; return a future for `acknowledged`.

        Args:
            message: the message.
            idempotency_key: see `Broker.publish`.
        """
        size = content_bytes(message) + MESSAGE_OVERHEAD_BYTES
        while self._in_flight and self._bytes + size > WINDOW_BYTES and not self._failed:
            future, bytes_ = self._in_flight.popleft()
            self._bytes -= bytes_
            try:
                await self.acknowledged(future)
            except PublishRefused:
                pass  # concerns that message alone; its caller gets the error from the future
            except PublishError:
                self._failed = True
        if self._failed:
            future = self._loop.create_future()
            future.set_exception(BusUnavailable("not sent, because an earlier message of the request failed"))
            future.exception()  # asyncio complains about exceptions that are never looked at
            return future
        future = self._node.submit(message, self, idempotency_key)
        self._in_flight.append((future, size))
        self._bytes += size
        return future

    async def settle(self) -> None:
        """Wait until all messages that were sent are acknowledged or have failed, or the request may wait no longer."""
        if self._in_flight:
            await asyncio.wait([future for future, _ in self._in_flight], timeout=self.seconds_left)

    def publish_failed(self, error: PublishError) -> None:
        """Send nothing more; see `Source`. What was sent already has its receipts."""
        self._failed = True

    async def acknowledged(self, future: asyncio.Future[Published]) -> Published:
        """Wait until the bus has acknowledged a message, and return what the bus says of it.

        Raises:
            PublishError: it was not, or perhaps not, delivered to the bus.
        """
        await asyncio.wait((future,), timeout=self.seconds_left)
        if not future.done():
            raise DeliveryUnknown("still waiting for the bus; it may yet be published")
        return future.result()

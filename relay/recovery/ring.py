"""The newest messages of a channel, kept by the gateway so that clients that come back are served without a read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Final

from relay.message import PositionedMessage, content_bytes

RING_BYTES: Final = 64 * 1024 * 1024
"""What the rings of all channels may hold. Beyond it each channel has its share; who needs more is served by a read."""

MESSAGE_BYTES: Final = 512
"""What a message takes in memory beside its payload and attributes: the objects of it and of its position."""


class Budget:
    """Bytes that the channels of a gateway share.

    Args:
        limit: in bytes.

    Attributes:
        used: bytes that are used.
        owners: the number of channels that use them.
    """

    __slots__ = ("limit", "owners", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.owners = 0

    @property
    def exceeded(self) -> bool:
        """Whether more is used than there is."""
        return self.used > self.limit

    @property
    def share(self) -> int:
        """Bytes of one channel, if all have the same."""
        return self.limit // max(1, self.owners)


class Ring:
    """Messages without a hole, the newest last.

    Args:
        size: messages at most.
        payload_bytes: of their payloads and attributes at most.
        budget: of all rings.

    Attributes:
        dropped: offset of the newest message for which it had no room of its own, since it was cleared; 0: none.
    """

    __slots__ = ("_budget", "_bytes", "_messages", "_payload_bytes", "_size", "dropped")

    def __init__(self, size: int, payload_bytes: int, budget: Budget) -> None:
        self._size = size
        self._payload_bytes = payload_bytes
        self._budget = budget
        budget.owners += 1
        self._messages: deque[PositionedMessage] = deque()
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self._messages)

    def append(self, message: PositionedMessage) -> None:
        """Add the message that comes after the last one; the oldest give way, as they do on the bus."""
        if not self._size:
            return
        size = len(message.payload) if message.attributes is None else content_bytes(message)  # spares most a call
        messages = self._messages
        messages.append(message)
        self._bytes += size
        self._budget.used += size + MESSAGE_BYTES
        while len(messages) > self._size or (self._bytes > self._payload_bytes and len(messages) > 1):
            self.dropped = messages[0].position.offset
            self._drop_oldest()
        if self._budget.exceeded:
            self.trim()

    def newest(self, count: int) -> list[PositionedMessage]:
        """Return so many of the newest messages, or all; in their order."""
        found = list(islice(reversed(self._messages), count))  # a deque is slow in its middle
        found.reverse()
        return found

    def replace(self, messages: Iterable[PositionedMessage]) -> None:
        """Keep other messages, as far as there is room for them."""
        self.clear()
        for message in messages:
            self.append(message)

    def trim(self) -> None:
        """Keep to the share of one channel, if all channels together have too much."""
        while self._messages and self._budget.exceeded and self._used > self._budget.share:
            self._drop_oldest()

    def clear(self) -> None:
        """Forget all messages."""
        self._budget.used -= self._used
        self._messages.clear()
        self._bytes = self.dropped = 0

    def close(self) -> None:
        """Give back what it uses."""
        self.clear()
        self._budget.owners -= 1

    @property
    def _used(self) -> int:
        return self._bytes + MESSAGE_BYTES * len(self._messages)

    def _drop_oldest(self) -> None:
        message = self._messages.popleft()
        size = len(message.payload) if message.attributes is None else content_bytes(message)
        self._bytes -= size
        self._budget.used -= size + MESSAGE_BYTES

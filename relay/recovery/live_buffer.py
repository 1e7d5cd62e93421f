"""Live messages that are kept back while the history of their channel is read."""

from __future__ import annotations

from typing import Final

from relay.message import PositionedMessage, content_bytes
from relay.recovery.ring import MESSAGE_BYTES, Budget

BUFFER_BYTES: Final = 1024 * 1024
"""Of one channel; the history has them, too."""

ALL_BUFFERS_BYTES: Final = 64 * 1024 * 1024
"""Of all channels."""


class LiveBuffer:
    """The live messages of one channel that wait, in the order in which they came.

    Args:
        budget: bytes that all channels share.

    Attributes:
        messages: those that wait.
        old: how many of the messages had come when the reading began that is under way, or was the last one.
    """

    __slots__ = ("_budget", "_bytes", "messages", "old")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._bytes = 0
        self.messages: list[PositionedMessage] = []
        self.old = 0

    def add(self, message: PositionedMessage) -> bool:
        """Keep a message; when there is no room, drop those before, and return False.

        It is kept in any case: it shows that those before are missing, if the reading doesn't have them.
        """
        size = content_bytes(message) + MESSAGE_BYTES
        room = self._bytes + size <= BUFFER_BYTES and self._budget.used + size <= self._budget.limit
        if not room:
            self.take()
        self.messages.append(message)
        self._bytes += size
        self._budget.used += size
        return room

    def take(self) -> tuple[list[PositionedMessage], int]:
        """Return all messages, and how many of them are old; they are kept no longer."""
        messages, old = self.messages, self.old
        self._budget.used -= self._bytes
        self.messages, self._bytes, self.old = [], 0, 0
        return messages, old

"""What waits for a client whose transport is full."""

from __future__ import annotations


class Held:
    """Chunks that wait, as references to bytes that all slow clients of a channel share.

    Attributes:
        bytes: what they have.
        messages: the number of messages in them.
        message_bytes: what the chunks of messages have.
    """

    __slots__ = ("_chunks", "_newest", "bytes", "message_bytes", "messages")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        # Which chunk is the one message that waits, where messages are conflated; -1: none.
        self._newest = -1
        self.bytes = self.messages = self.message_bytes = 0

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._chunks)

    def add(self, data: bytes, count: int) -> None:
        """Keep a chunk.

        Args:
            data: one or several frames.
            count: number of messages in them; 0 for what is no message.
        """
        self._chunks.append(data)
        self.bytes += len(data)
        if count:
            self.messages += count
            self.message_bytes += len(data)

    def conflate(self, message: bytes) -> int | None:
        """Keep a message in place of the one that waits; what is no message stays.

        Returns:
            The bytes of the message that waited; None: there was none.
        """
        before = None
        if self._newest >= 0:
            before = len(self._chunks.pop(self._newest))
            self.bytes -= before
            self.messages -= 1
            self.message_bytes -= before
        self._newest = len(self._chunks)
        self.add(message, 1)
        return before

    def take(self) -> bytes:
        """Return everything that waits, in order, and keep nothing."""
        data = b"".join(self._chunks)
        self.clear()
        return data

    def clear(self) -> None:
        """Forget everything."""
        self._chunks = []
        self._newest = -1
        self.bytes = self.messages = self.message_bytes = 0

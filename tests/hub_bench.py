"""A hub whose flushes a test asks for, and its subscribers."""

from __future__ import annotations

from collections.abc import Callable

from relay.hub import Hub
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.position import Position


def payload_only(message: Message) -> bytes:
    """Encode a message as its payload in brackets."""
    return b"[" + message.payload + b"]"


def shouted(message: Message) -> bytes:
    """Encode a message in another wire format."""
    return message.payload.upper() + b"!"


class Listener:
    """A subscriber that keeps what it gets."""

    def __init__(self, number: int, *, echo: bool = False, encoder: Encoder = payload_only) -> None:
        self.id = number.to_bytes(16, "big")
        self.echo = echo
        self.chunks: list[bytes] = []
        self.count = 0
        self.on_delivery: Callable[[], None] = lambda: None
        self._encoder = encoder

    @property
    def encode(self) -> Encoder:
        return self._encoder

    def deliver(self, data: bytes, count: int) -> None:
        self.chunks.append(data)
        self.count += count
        self.on_delivery()

    def missed(self, channel: str, position: Position | None) -> None:
        raise AssertionError(channel)

    def say(self, text: str, channel: str = "c") -> Message:
        """Return a message from this subscriber."""
        return Message(channel, text.encode(), origin=self.id)


class Bench:
    """A hub whose flushes are counted and done by hand."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.scheduled = 0
        self.hub = Hub(self.counters, self._schedule)

    def _schedule(self) -> None:
        self.scheduled += 1

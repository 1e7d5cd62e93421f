"""The streams of a gateway whose clients speak by requests of their own."""

from __future__ import annotations

from typing import Protocol


class EmulatedClient(Protocol):
    """A client that hears over a stream."""

    def take_in(self, payload: bytes) -> None:
        """Take what it says."""


class EmulatedStreams:
    """Finds a client by the token that its requests name it by."""

    def __init__(self) -> None:
        self._streams: dict[str, EmulatedClient] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._streams)

    def add(self, token: str, stream: EmulatedClient) -> None:
        """Add a client that is there now."""
        self._streams[token] = stream

    def discard(self, token: str) -> None:
        """Forget a client that leaves; nothing happens when it isn't known."""
        self._streams.pop(token, None)

    def take_in(self, token: str, payload: bytes) -> bool:
        """Take what a client says; return whether there is such a client."""
        stream = self._streams.get(token)
        if stream is not None:
            stream.take_in(payload)
        return stream is not None

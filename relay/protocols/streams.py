"""The contract of streams: responses that don't end, over which clients of several channels hear.

What such a client says comes with its request, and in further requests, which name it by its token.
"""

from __future__ import annotations

from typing import Protocol

from relay.message import Kind
from relay.protocols.multiplexed import MultiplexedProtocol
from relay.protocols.request import ConnectRequest


class StreamProtocol(MultiplexedProtocol, Protocol):
    """One client's side of such a protocol; what it has said with its request is its `first`.

    Attributes:
        emulated: whether further requests of the client may follow.
        token: by which these name it; only the client knows it.
    """

    emulated: bool
    token: str

    @property
    def kind(self) -> Kind:
        """Of what the client says."""

    @property
    def content_type(self) -> str:
        """Of the response."""


class StreamEndpoint(Protocol):
    """What the module of such a protocol exports as `endpoint`."""

    def open(self, request: ConnectRequest, body: bytes | None) -> StreamProtocol:
        """Return the protocol of a client that connects.

        Args:
            request: with which it does.
            body: of the request; None: it has none, as a GET.

        Raises:
            Refused: what it asks for is not in order.
        """

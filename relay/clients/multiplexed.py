"""A WebSocket with any number of channels."""

from __future__ import annotations

import asyncio
from typing import cast

from relay.clients.context import Context
from relay.clients.gathering import Gathered, Gathering
from relay.clients.session import Session
from relay.clients.websocket import WebSocket
from relay.errors import PublishError
from relay.protocols.frame import masked_frame
from relay.protocols.multiplexed import MultiplexedProtocol


class MultiplexedWebSocket(Gathering, WebSocket):
    """A client of several channels."""

    __slots__ = ("_gathered",)

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        self._gathered = Gathered()

    def take_over(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Begin; see `Client`. What the client has said with its request counts as its first message."""
        first = cast(MultiplexedProtocol, self.session.protocol).first
        super().take_over(transport, response, masked_frame(first) + received if first else received)

    def publish_failed(self, error: PublishError) -> None:
        """Stay open: the outcome of each message was told to the protocol; see `Session.publish`.

        Nothing of this client waits for the bus any more, so it can go on, unless others use up what clients may have.
        Not at once, see `Node.writable`.
        """
        if not self._reader.open:
            super().publish_failed(error)
        elif self.paused and not self._context.node.congested:
            self._context.node.forget(self)
            self._context.loop.call_soon(self.resume_publishing)

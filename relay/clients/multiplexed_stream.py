"""A stream with any number of channels: a response that doesn't end, to a request that says which ones.

It is written to as an event stream of one channel is. What its client says after that, it says elsewhere, or nothing.
"""

from __future__ import annotations

import asyncio
from typing import cast

from relay.clients.context import Context
from relay.clients.event_stream import EventStream
from relay.clients.gathering import Gathered, Gathering
from relay.clients.session import Session
from relay.errors import Disconnect, ProtocolError
from relay.logs import Logger
from relay.message import Kind
from relay.protocols.streams import StreamProtocol

log = Logger("relay.gateway")


class MultiplexedStream(Gathering, EventStream):
    """A client of several channels that says nothing more.

    Args:
        context: what all clients share.
        session: the client's.
    """

    __slots__ = ("_gathered",)

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        self._gathered = Gathered()

    @property
    def _spoken(self) -> StreamProtocol:
        return cast(StreamProtocol, self.session.protocol)

    def take_over(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Begin, and take what the client has said with its request; see `Client`."""
        first = self._spoken.first
        super().take_over(transport, response, received)
        self._carry_out(first)

    def fail(self, disconnect: Disconnect) -> None:
        """Close a client that broke its protocol."""
        self.close(disconnect)

    def _count_open(self, change: int) -> None:
        """Do nothing: it is no event stream of one channel."""

    def _carry_out(self, payload: bytes) -> None:
        """Pass one whole message to the client's protocol."""
        session, kind = self.session, self._spoken.kind
        if not session.open:
            return
        try:
            if kind is Kind.TEXT and not payload.isascii():
                payload.decode()
            session.protocol.received(session, kind, payload)
        except UnicodeDecodeError:
            self.fail(Disconnect.INVALID_TEXT)
        except ProtocolError as error:
            self.fail(error.disconnect)
        except Exception:
            # A fault in the protocol, or in the rights of a program around the gateway: it ends this client only.
            log.exception("message failed", user=session.user)
            self.abort()

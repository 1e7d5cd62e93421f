"""A stream with any number of channels: a response that doesn't end, to a request that says which ones.

It is written to as an event stream of one channel is. What its client says after that, it says elsewhere, or nothing.
"""

from __future__ import annotations

import asyncio
from typing import cast

from relay.clients.command_turns import CommandTurns
from relay.clients.context import Context
from relay.clients.event_stream import EventStream
from relay.clients.multiplexed_client import MultiplexedClient, PendingWrites
from relay.clients.session import Session
from relay.errors import Disconnect, ProtocolError
from relay.logs import Logger
from relay.message import Kind
from relay.protocols.streams import StreamProtocol

log = Logger("relay.gateway")


class MultiplexedStream(MultiplexedClient, EventStream, CommandTurns):
    """A client of several channels that says nothing more.

    Args:
        context: what all clients share.
        session: the client's.
    """

    __slots__ = ("_pending",)

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        self._pending = PendingWrites()

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

    def message_failed(self) -> None:
        """Drop the socket, after a fault in the protocol, or in the rights of a program around the gateway."""
        log.exception("message failed", user=self.session.user)
        self.abort()

    def take_turn(self) -> None:
        """Let the protocol go on when it is its turn; see `CommandTurns`."""
        self._context.turns.add(self)

    def count(self, messages: int) -> None:
        """Do nothing: it sends one message."""

    def go_on(self) -> int:
        """Let the protocol go on; see `Waiting`."""
        return self._give_turn() if self._due else 0

    def _may_send(self) -> bool:
        """Return whether the protocol may go on."""
        return self.session.open

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
        except Exception:  # noqa: BLE001  # whatever it is, it is logged and ends this client only
            self.message_failed()

"""Clients of the Centrifuge protocol whose connection carries only what they are told: a response that doesn't end."""

from __future__ import annotations

import secrets
from typing import ClassVar, Final

from msgspec.structs import replace

from relay.errors import CustomDisconnect, Disconnect
from relay.message import Kind, Message
from relay.protocols import CloseMessage, Session
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.connection import Centrifuge
from relay.protocols.centrifuge.exchange import Exchange
from relay.protocols.centrifuge.pushes import Disconnect as Close
from relay.protocols.centrifuge.results import ConnectResult, Error
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.request import ConnectRequest

TOKEN_BYTES: Final = 16
"""As many as no stranger can guess: a request with the token speaks for the client."""

_SSE_BEGINNING: Final = b"\r\n"
"""Written at once, so that proxies and clients see that the response has begun. It ends no event."""

WEBSOCKET_PING: Final = b"\x89\x00"
"""Every WebSocket client answers it, also one that only listens."""


class Streamed(Centrifuge):
    """One client; see `relay.protocols.streams.StreamProtocol`.

    Args:
        wire: how it is written to.
        opening: the request that has opened the connection.
        transport: its name.
        first: what the client has said with this request.
    """

    __slots__ = ("first", "token", "transport")

    emulated: ClassVar[bool] = True

    def __init__(self, wire: Wire, opening: ConnectRequest, transport: str, first: bytes) -> None:
        super().__init__(wire, opening)
        self.transport = transport
        self.first = first
        self.token = secrets.token_urlsafe(TOKEN_BYTES)

    @property
    def kind(self) -> Kind:
        """Of what the client says."""
        return self.wire.format.kind

    @property
    def content_type(self) -> str:
        """Of the response."""
        if self.transport.endswith("sse"):
            return "text/event-stream"
        return "application/x-ndjson" if self.kind is Kind.TEXT else "application/octet-stream"

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Return what events begin with."""
        super().opened(session, welcome)
        self.first = b""
        return _SSE_BEGINNING if self.transport.endswith("sse") else b""

    def complete(self, result: ConnectResult) -> ConnectResult:
        """Tell the client where it can speak, and how it is known there."""
        return replace(result, session=self.token, node=self.session.node)

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return the code of this protocol, and a push that tells it: a response can't end with one."""
        close = super().closing(why)
        return CloseMessage(close.code, close.reason, self.wire.push("", Close(close.code, close.reason)))


class Unidirectional(Streamed):
    """One client that says nothing after its first message; arguments as for `Streamed`."""

    __slots__ = ()

    emulated = False

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Take the first message, and ignore the others, as Centrifugo does."""
        if self.new:
            super().received(session, kind, payload)

    def ping(self) -> bytes:
        """Return an empty object, which the client need not answer."""
        if self.transport == "uni_websocket":
            return self.wire.ping + WEBSOCKET_PING
        return self.wire.ping

    def complete(self, result: ConnectResult) -> ConnectResult:
        """Ask for no pongs."""
        return replace(result, session=self.token, pong=False)

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return the code of this protocol; also of an error that another client would be answered with."""
        if why is Disconnect.TOKEN_EXPIRED and self.ended:
            why = CustomDisconnect(codes.DISCONNECT_EXPIRED.code, codes.DISCONNECT_EXPIRED.reason)
        return super().closing(why)

    def exchange(self, id_: int, kind: str) -> Exchange:
        """Return the one exchange of such a client."""
        return _OneWayExchange(self, id_, kind)


class _OneWayExchange(Exchange):
    """The first message of a client that can't be told of an error: the error closes it."""

    __slots__ = ()

    def refuse(self, error: Error) -> None:
        """Close the client: the one error with which `connect` is answered is that its token has expired."""
        self.close(Disconnect.TOKEN_EXPIRED)

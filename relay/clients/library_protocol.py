"""The library's protocol of one WebSocket, made when it is needed first."""

from __future__ import annotations

from websockets.protocol import State
from websockets.server import ServerProtocol

from relay.clients.context import Context, websockets_logger

ABNORMAL_CLOSURE = 1006
"""Close code of a connection that ended without a closing handshake (RFC 6455, section 7.4.1)."""


class LibraryProtocol:
    """Holds the library's protocol, which parses frames and does the closing handshake.

    Frames that arrive whole need none of it, and most clients send no others until they close. So most have none: an
    idle one saves 1.4 of 3.8 KB, and its handshake a twentieth.

    Args:
        context: what all clients share.
    """

    __slots__ = ("_context", "_ws")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ws: ServerProtocol | None = None

    @property
    def ws(self) -> ServerProtocol:
        """The library's protocol; it is made now if there is none."""
        ws = self._ws
        if ws is None:
            limit = self._context.max_message_bytes
            ws = self._ws = ServerProtocol(state=State.OPEN, max_size=limit, logger=websockets_logger)
        return ws

    @property
    def open(self) -> bool:
        """Whether the closing handshake has not begun."""
        return self._ws is None or self._ws.state is State.OPEN

    @property
    def eof_sent(self) -> bool:
        """Whether the client is heard no more (RFC 6455, sections 1.4 and 7.1.7)."""
        return self._ws is not None and self._ws.eof_sent

    @property
    def close_code(self) -> int:
        """Code of the close frame that began the closing handshake; 1006 when there was none."""
        ws = self._ws
        if ws is None:
            return ABNORMAL_CLOSURE
        first = ws.close_sent if ws.close_rcvd is None or not ws.close_rcvd_then_sent else ws.close_rcvd
        return ABNORMAL_CLOSURE if first is None else int(first.code)

    def end(self) -> None:
        """Let go of what was parsed; nothing can be parsed after that."""
        if self._ws is not None:
            # The parser and the protocol hold each other: else only a full garbage collection would free them.
            self._ws.parser.close()
            self._ws.parser_exc = None

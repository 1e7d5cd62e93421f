"""The opening handshake of a WebSocket (RFC 6455, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.exceptions import NegotiationError
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from relay.auth.authenticator import identify
from relay.auth.host import check_host
from relay.auth.origin import check_origin
from relay.clients.context import Context, websockets_logger
from relay.clients.websocket import Connection
from relay.errors import Refused
from relay.gateway.guest import Guest
from relay.gateway.request_head import client_address, only, parse_head
from relay.protocols import plain
from relay.protocols.request import parse_request


class _Negotiation(ServerProtocol):
    """The library's handshake, with our choice of a subprotocol.

    A subclass, because a function that is handed to the library makes a reference cycle of each handshake.
    """

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(logger=websockets_logger)
        self._accepted = accepted

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the one to speak; see `plain.select_subprotocol`.

        Raises:
            NegotiationError: there is none. It may be answered without one, but then browsers end the connection.
        """
        chosen = plain.select_subprotocol(subprotocols, self._accepted)
        if chosen is None and subprotocols:
            names = ", ".join(self._accepted)
            raise NegotiationError(f"no subprotocol that was offered is one of RELAY_SUBPROTOCOLS: {names}")
        return None if chosen is None else Subprotocol(chosen)


def read_upgrade(context: Context, head: bytes, peer: str) -> Guest:
    """Read the request of a WebSocket.

    Args:
        context: what all connections share.
        head: of the request, with the empty line.
        peer: address of the client, or of the proxy that speaks for it in its headers.

    Raises:
        Refused: with the status that the client should get.
    """
    ws = _Negotiation(context.settings.subprotocols)
    # It gets no bytes. The parser and the protocol hold each other: only a full garbage collection would free them.
    ws.parser.close()
    request = parse_head(head)
    response = ws.accept(request)
    error: BaseException | None = ws.handshake_exc
    while error is not None:
        # Its traceback holds the request and the protocol, and these hold it.
        error.__traceback__ = None
        error = error.__context__
    if response.status_code != 101:
        headers = {name: response.headers[name] for name in ("Upgrade",) if name in response.headers}
        headers["Sec-WebSocket-Version"] = "13"  # RFC 6455, section 4.4
        raise Refused(response.status_code, bytes(response.body).decode().strip(), headers)
    remote = client_address(request.headers, peer, context.proxies)
    asked = parse_request(request.path, request.headers, remote)
    settings = context.settings
    host = only(request.headers, "Host")
    check_host(host, settings.allowed_hosts)
    if settings.allowed_origins is not None:
        check_origin(only(request.headers, "Origin"), host, settings.allowed_origins)
    session = plain.open_session(asked, settings.default_channel)
    identity = identify(asked)
    return Guest(
        session.channel,
        remote,
        response.serialize(),
        {},
        lambda interest: Connection(context, session, identity, interest),
    )

"""The library's WebSocket handshake (RFC 6455, section 4.2), with our choice of a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from relay.auth.credential import take_bearer
from relay.clients.context import websockets_logger
from relay.errors import Refused
from relay.protocols import Endpoint, find_endpoint
from relay.redaction import escape_controls

VERSION: Final = "13"
"""Of the WebSocket protocol; there has been no other since RFC 6455."""

MAX_REASON_LETTERS: Final = 400
"""Of the library's sentence on a request that is refused."""


class Negotiation(ServerProtocol):
    """The library's handshake, with our choice of a protocol; one object for all clients.

    The library means one for each client. But each handshake overwrites what the one before has left, and an object of
    its own, with a parser and a random UUID, took an eighth of the time of reading the request.

    Args:
        accepted: RELAY_SUBPROTOCOLS.

    Attributes:
        bearer: the credential among the subprotocols that the last client has offered; None: there was none.
    """

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(logger=websockets_logger)
        self.parser.close()  # it gets no bytes
        self.bearer: str | None = None
        self._of_a_page = False
        self._accepted = accepted
        self._path = ""
        self._endpoint = find_endpoint("", ())

    def answer(self, request: Request) -> tuple[Response, Endpoint]:
        """Return the response to a handshake, and the endpoint that the client has come to, if the status is 101."""
        self._path = request.path.partition("?")[0]
        self.bearer = None
        self._of_a_page = "Origin" in request.headers
        response = self.accept(request)
        error: BaseException | None = self.handshake_exc
        self.handshake_exc = None
        while error is not None:
            # Its traceback holds the request, which holds the error.
            error.__traceback__ = None
            error = error.__context__
        return response, self._endpoint

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Find the endpoint, and return the subprotocol to speak.

        Raises:
            NegotiationError: there is none. It may be answered without one, but then browsers end the connection.
        """
        try:
            offered, self.bearer = take_bearer(subprotocols)
        except Refused as refused:
            raise NegotiationError(refused.reason) from None
        if self._of_a_page and self.bearer is not None and not offered:
            # A browser ends a connection that is answered without one (WHATWG, WebSockets, section 2.2).
            raise NegotiationError("a page must offer a subprotocol beside its credential, such as relay")
        endpoint = self._endpoint = find_endpoint(self._path, offered)
        chosen = endpoint.select_subprotocol(offered, self._accepted)
        if chosen is None and offered:
            names = ", ".join(self._accepted)
            raise NegotiationError(f"no subprotocol that was offered is one of RELAY_SUBPROTOCOLS: {names}")
        return None if chosen is None else Subprotocol(chosen)


def _reason(response: Response) -> str:
    """Return the library's sentence on a request, in one line.

    It repeats the header that is wrong, which may be long and hold any bytes; of subprotocols, a credential.
    """
    reason = bytes(response.body).decode()
    if "Sec-WebSocket-Protocol header" in reason:
        return "Sec-WebSocket-Protocol is malformed"
    return escape_controls(" ".join(reason[:MAX_REASON_LETTERS].split()))[:MAX_REASON_LETTERS]


def refusal(request: Request, response: Response) -> Refused:
    """Return the refusal of a handshake that the library has refused."""
    status, reason = response.status_code, _reason(response)
    if status == 400 and request.headers.get_all("Sec-WebSocket-Version") != [VERSION]:
        # For the library a fault like any other; RFC 6455, section 4.2.2, wants it to be told apart.
        status, reason = 426, f"Sec-WebSocket-Version must be {VERSION}"
    headers = {"Sec-WebSocket-Version": VERSION}  # section 4.4
    if status == 426:
        headers["Upgrade"] = "websocket"  # RFC 9110, section 15.5.22
    return Refused(status, reason, headers)

"""The WebSocket handshake (RFC 6455, section 4.2): the library's, and the answer to the usual request."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from hashlib import sha1
from typing import Final, NamedTuple

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

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""A server that appends it to the client's key, and answers with the hash, speaks WebSocket (RFC 6455, section 1.3)."""


class Choice(NamedTuple):
    """What is spoken with a client.

    Args:
        endpoint: that it has come to.
        subprotocol: that the response names; None: it names none.
        bearer: the credential among the subprotocols that the client has offered; None: there was none.
    """

    endpoint: Endpoint
    subprotocol: str | None
    bearer: str | None


def choose(path: str, offered: Sequence[str], accepted: Sequence[str], *, of_page: bool) -> Choice:
    """Find the endpoint that a client has come to, and the subprotocol to speak with it.

    Args:
        path: of the request, still percent-encoded.
        offered: the subprotocols that the client offers, in its order.
        accepted: RELAY_SUBPROTOCOLS.
        of_page: whether a web page connects.

    Raises:
        NegotiationError: there is none. It may be answered without one, but then browsers end the connection.
    """
    if not offered:
        return Choice(find_endpoint(path, ()), None, None)
    try:
        names, bearer = take_bearer(offered)
    except Refused as refused:
        raise NegotiationError(refused.reason) from None
    if of_page and bearer is not None and not names:
        # A browser ends a connection that is answered without one (WHATWG, WebSockets, section 2.2).
        raise NegotiationError("a page must offer a subprotocol beside its credential, such as relay")
    endpoint = find_endpoint(path, names)
    chosen = endpoint.select_subprotocol(names, accepted)
    if chosen is None and names:
        raise NegotiationError(f"no subprotocol that was offered is one of RELAY_SUBPROTOCOLS: {', '.join(accepted)}")
    return Choice(endpoint, chosen, bearer)


def switching_protocols(key: str, subprotocol: str | None) -> bytes:
    """Return the response that completes a handshake, as the library writes it (RFC 6455, section 4.2.2).

    Args:
        key: the `Sec-WebSocket-Key` of the request.
        subprotocol: see `Choice`.
    """
    accept = b64encode(sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
    protocol = "" if subprotocol is None else f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
    return (
        f"HTTP/1.1 101 Switching Protocols\r\nDate: {date_of(int(time.time()))}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    ).encode()


@lru_cache(1)
def date_of(second: int) -> str:
    """Return a time, in seconds since 1970, as HTTP writes it: once a second, as it takes 3 µs."""
    return formatdate(second, usegmt=True)


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
        """Return the subprotocol to speak; see `choose`."""
        choice = choose(self._path, subprotocols, self._accepted, of_page=self._of_a_page)
        self._endpoint, self.bearer = choice.endpoint, choice.bearer
        return None if choice.subprotocol is None else Subprotocol(choice.subprotocol)


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

"""The requests that make clients of sockets: for a WebSocket (RFC 6455, section 4.2), or for an event stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from relay.auth.credential import take_bearer
from relay.auth.host import check_host
from relay.auth.origin import check_fetch_site, check_origin, cors_headers
from relay.clients.client import Client
from relay.clients.context import websockets_logger
from relay.clients.event_stream import EventStream
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.clients.websocket import WebSocket
from relay.errors import Refused
from relay.protocols import ClientProtocol, Endpoint, find_endpoint, sse
from relay.protocols.request import ConnectRequest, parse_request
from relay.proxies.forwarded import TrustedProxies
from relay.redaction import escape_controls
from relay.settings import Settings

VERSION: Final = "13"
"""Of the WebSocket protocol; there has been no other since RFC 6455."""

MAX_ELEMENTS: Final = 64
"""Of the lists in a request's headers. Clients send a few. A head of 16 KB has room for thousands, and each takes the
library 5 µs."""


MAX_REASON_LETTERS: Final = 400
"""Of the library's sentence on a request that is refused."""


@dataclass(frozen=True, slots=True)
class OpeningRequest:
    """A request that is in order: what it asks for, and what becomes of the socket when the client is let in.

    Args:
        request: as the authenticator gets it.
        protocol: what the client speaks.
        response: what is written first when it is let in.
        headers: what its refusal needs beside the reason.
        client_class: takes over the socket.
    """

    request: ConnectRequest
    protocol: ClientProtocol
    response: bytes
    headers: Mapping[str, str]
    client_class: type[Client]


class OpeningRequests:
    """Reads them.

    Args:
        settings: of the gateway.
        proxies: whose word about a client's address is believed.
        auth: how clients are identified; see `AUTH`.
        count: told the address of each client that asks to come in, before more is read; may refuse it.
    """

    def __init__(self, settings: Settings, proxies: TrustedProxies, auth: str, count: Callable[[str], None]) -> None:
        self._count = count
        self._settings = settings
        self._host_names = settings.host_names  # once: it is found out by what the addresses are
        # With RELAY_AUTH=none pages of all sites may come in, as all programs may. On a loopback or in an intranet that
        # is more than the owners of the sites could do themselves; docs/fallbacks.md says so.
        # A browser shows its certificate to whichever page asks, as it sends cookies.
        known = auth != "none" or settings.tls_client_ca is not None
        self._origin_matters = settings.allowed_origins is not None or known
        self._proxies = proxies
        self._negotiation = _Negotiation(settings.subprotocols)

    def read_upgrade(self, head: bytes, peer: str, certificate_user: str | None = None) -> OpeningRequest:
        """Read the request of a WebSocket.

        Args:
            head: of the request, with the empty line.
            peer: address of the client, or of the proxy that speaks for it in its headers.
            certificate_user: see `ConnectRequest`.

        Raises:
            Refused: with the status that the client should get.
        """
        settings = self._settings
        request = _parse_head(head)
        remote = self._client_address(request, peer)
        if head.count(b",") >= MAX_ELEMENTS:
            _check_lists(request.headers)
        response, endpoint = self._negotiation.answer(request)
        if response.status_code != 101:
            raise _refused(request, response)
        asked = parse_request(request.path, request.headers, remote, self._negotiation.bearer, certificate_user)
        host = _only(request.headers, "Host")
        check_host(host, self._host_names)
        if self._origin_matters:
            check_origin(_only(request.headers, "Origin"), host, settings.allowed_origins)
        protocol = endpoint.open(asked, settings.default_channel)
        client_class = MultiplexedWebSocket if protocol.multiplexed else WebSocket
        return OpeningRequest(asked, protocol, response.serialize(), {}, client_class)

    def read_event_stream(self, head: bytes, peer: str, certificate_user: str | None = None) -> OpeningRequest:
        """Read the request of a client that wants events; arguments and errors as for a WebSocket."""
        settings = self._settings
        request = _parse_head(head)
        remote = self._client_address(request, peer)
        origin, host = (_only(request.headers, name) for name in ("Origin", "Host"))
        check_host(host, self._host_names)
        if origin is None:
            check_fetch_site(_only(request.headers, "Sec-Fetch-Site"), _only(request.headers, "Sec-Fetch-Dest"))
        cors = cors_headers(origin, host, settings.allowed_origins)
        try:
            asked = parse_request(request.path, request.headers, remote, None, certificate_user)
            protocol = sse.open_session(asked, settings.default_channel)
        except Refused as refused:
            refused.headers |= cors
            raise
        return OpeningRequest(asked, protocol, _stream_head(cors), cors, EventStream)

    def _client_address(self, request: Request, peer: str) -> str:
        headers = request.headers
        remote = self._proxies.client_address(peer, headers.get_all("X-Forwarded-For"), headers.get_all("Forwarded"))
        self._count(remote)
        return remote


class _Negotiation(ServerProtocol):
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


def _parse_head(head: bytes) -> Request:
    """Take the head of a request apart.

    Args:
        head: with the empty line at its end, as `relay.protocols.http_request` lets it through: the library's own
            parser would look at each line once more, for 30 µs.

    Raises:
        Refused: with 400; it announces a body.
    """
    line, *fields = head[:-4].decode("latin-1").split("\r\n")
    method, path, protocol = line.split(" ")
    headers = Headers()
    for field in fields:
        name, _, value = field.partition(":")
        value = value.strip(" \t")
        if not value and name.lower() == "sec-websocket-protocol":
            continue  # Centrifugo's client for Python offers none in this way, which the library refuses
        headers.set_insecure(name, value)
    if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
        raise Refused(400, "a request like this has no body")
    return Request(path, headers, method, protocol)


def _check_lists(headers: Headers) -> None:
    """Refuse lists that the library would take long for."""
    for name in ("Connection", "Sec-WebSocket-Protocol"):
        if ",".join(headers.get_all(name)).count(",") >= MAX_ELEMENTS:
            raise Refused(400, f"{name} has more than {MAX_ELEMENTS} elements")


def _refused(request: Request, response: Response) -> Refused:
    """Return the refusal of a handshake that the library has refused."""
    status, reason = response.status_code, _reason(response)
    if status == 400 and request.headers.get_all("Sec-WebSocket-Version") != [VERSION]:
        # For the library a fault like any other; RFC 6455, section 4.2.2, wants it to be told apart.
        status, reason = 426, f"Sec-WebSocket-Version must be {VERSION}"
    headers = {"Sec-WebSocket-Version": VERSION}  # section 4.4
    if status == 426:
        headers["Upgrade"] = "websocket"  # RFC 9110, section 15.5.22
    return Refused(status, reason, headers)


def _only(headers: Headers, name: str) -> str | None:
    """Return a header that may come once; None when it doesn't come.

    Raises:
        Refused: with 400; it came more than once.
    """
    values = headers.get_all(name)
    if len(values) > 1:
        raise Refused(400, f"more than one {name} header")
    return values[0] if values else None


def _stream_head(cors: Mapping[str, str]) -> bytes:
    """Return the head of an event stream's response."""
    headers = Headers(cors)
    headers["Date"] = formatdate(usegmt=True)
    headers["Server"] = "relay"
    headers["Content-Type"] = "text/event-stream"
    headers["Cache-Control"] = "no-store"
    headers["X-Accel-Buffering"] = "no"  # nginx would collect events
    headers["Connection"] = "close"
    return Response(200, "OK", headers).serialize()

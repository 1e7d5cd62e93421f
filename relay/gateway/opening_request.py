"""The requests that make clients of sockets: for a WebSocket, or for a response that doesn't end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response

from relay.auth.host import check_host
from relay.auth.origin import check_fetch_site, check_origin, cors_headers
from relay.clients.client import Client
from relay.clients.emulated_stream import EmulatedStream
from relay.clients.event_stream import EventStream
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.clients.multiplexed_stream import MultiplexedStream
from relay.clients.websocket import WebSocket
from relay.errors import Refused
from relay.gateway.access import PROGRAM
from relay.gateway.negotiation import Negotiation, choose, date_of, refusal, switching_protocols
from relay.protocols import ClientProtocol, sse, stream_endpoint
from relay.protocols.request import ConnectRequest, parse_request
from relay.protocols.streams import StreamEndpoint, StreamProtocol
from relay.protocols.usual_upgrade import UsualUpgrade
from relay.proxies.forwarded import TrustedProxies
from relay.settings import Settings

MAX_ELEMENTS: Final = 64
"""Of the lists in a request's headers. Clients send a few. A head of 16 KB has room for thousands, and each takes the
library 5 µs."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

_CHAINS: Final = ("x-forwarded-for", "forwarded")

_Spoken = TypeVar("_Spoken", sse.ServerSentEvents, StreamProtocol)


class OpeningRequest(NamedTuple):
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
        count: told the address of each client that asks to come in, before it is asked who it is; may refuse it.
    """

    def __init__(self, settings: Settings, proxies: TrustedProxies, auth: str, count: Callable[[str], None]) -> None:
        self._count = count
        self._settings = settings
        self._host_names = settings.host_names  # once: it is found out by what the addresses are
        # With RELAY_AUTH=none pages of all sites may come in, as all programs may. On a loopback or in an intranet that
        # is more than the owners of the sites could do themselves; docs/fallbacks.md says so.
        known = auth == PROGRAM or settings.clients_are_known
        self._origin_matters = settings.allowed_origins is not None or known
        self._proxies = proxies
        self._negotiation = Negotiation(settings.subprotocols)

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
            raise refusal(request, response)
        asked = parse_request(request.path, request.headers, remote, self._negotiation.bearer, certificate_user)
        host = _only(request.headers, "Host")
        check_host(host, self._host_names)
        if self._origin_matters:
            check_origin(_only(request.headers, "Origin"), host, settings.allowed_origins)
        protocol = endpoint.open(asked, settings.default_channel)
        client_class = MultiplexedWebSocket if protocol.multiplexed else WebSocket
        return OpeningRequest(asked, protocol, response.serialize(), NO_HEADERS, client_class)

    def read_usual_upgrade(
        self, usual: UsualUpgrade, head: bytes, peer: str, certificate_user: str | None = None
    ) -> OpeningRequest:
        """Read the request of a WebSocket that was taken apart already; see `read_upgrade`, which refuses it.

        Args:
            usual: the same as the head.
            head, peer, certificate_user: as for `read_upgrade`.
        """
        try:
            opening = self._open(usual, peer, certificate_user)
        except (Refused, NegotiationError):
            return self.read_upgrade(head, peer, certificate_user)
        self._count(opening.request.remote)
        return opening

    def _open(self, usual: UsualUpgrade, peer: str, certificate_user: str | None) -> OpeningRequest:
        """Read the usual request of a WebSocket; raises `Refused` or `NegotiationError` for one that isn't in order."""
        settings, remote = self._settings, peer
        if self._proxies:
            chains = ([] if (value := usual.headers.get(name)) is None else [value] for name in _CHAINS)
            remote = self._proxies.client_address(peer, *chains)
        path, of_page = usual.target.partition("?")[0], usual.origin is not None
        endpoint, subprotocol, bearer = choose(path, usual.offered, settings.subprotocols, of_page=of_page)
        asked = parse_request(usual.target, usual.headers, remote, bearer, certificate_user)
        check_host(usual.host, self._host_names)
        if self._origin_matters:
            check_origin(usual.origin, usual.host, settings.allowed_origins)
        protocol = endpoint.open(asked, settings.default_channel)
        client_class = MultiplexedWebSocket if protocol.multiplexed else WebSocket
        response = switching_protocols(usual.key, subprotocol)
        return OpeningRequest(asked, protocol, response, NO_HEADERS, client_class)

    def read_event_stream(self, head: bytes, peer: str, certificate_user: str | None = None) -> OpeningRequest:
        """Read the request of a client that wants events; arguments and errors as for a WebSocket."""
        default = self._settings.default_channel
        asked, protocol, cors = self._read_stream(
            _parse_head(head), peer, certificate_user, lambda asked: sse.open_session(asked, default)
        )
        return OpeningRequest(asked, protocol, _stream_head("text/event-stream", cors), cors, EventStream)

    def read_stream(
        self, body: bytes | None, head: bytes, peer: str, certificate_user: str | None = None
    ) -> OpeningRequest:
        """Read the request of a client that hears of several channels over the response.

        Args:
            body: of the request; None: it has none, as a GET.
            head, peer, certificate_user: as for a WebSocket.

        Raises:
            Refused: with the status that the client should get.
        """
        endpoint: StreamEndpoint = stream_endpoint()
        asked, protocol, cors = self._read_stream(
            _parse_head(head, with_body=body is not None),
            peer,
            certificate_user,
            lambda asked: endpoint.open(asked, body),
        )
        client_class = EmulatedStream if protocol.emulated else MultiplexedStream
        return OpeningRequest(asked, protocol, _stream_head(protocol.content_type, cors), cors, client_class)

    def _read_stream(
        self, request: Request, peer: str, certificate_user: str | None, open_: Callable[[ConnectRequest], _Spoken]
    ) -> tuple[ConnectRequest, _Spoken, Mapping[str, str]]:
        """Return what a client asks for, what it speaks, and the headers by which its page may read the response."""
        settings = self._settings
        remote = self._client_address(request, peer)
        origin, host = (_only(request.headers, name) for name in ("Origin", "Host"))
        check_host(host, self._host_names)
        if origin is None:
            check_fetch_site(_only(request.headers, "Sec-Fetch-Site"), _only(request.headers, "Sec-Fetch-Dest"))
        cors = cors_headers(origin, host, settings.allowed_origins)
        try:
            asked = parse_request(request.path, request.headers, remote, None, certificate_user)
            return asked, open_(asked), cors
        except Refused as refused:
            refused.headers |= cors
            raise

    def _client_address(self, request: Request, peer: str) -> str:
        headers = request.headers
        remote = self._proxies.client_address(peer, headers.get_all("X-Forwarded-For"), headers.get_all("Forwarded"))
        self._count(remote)
        return remote


def _parse_head(head: bytes, *, with_body: bool = False) -> Request:
    """Take the head of a request apart.

    Args:
        head: with the empty line at its end, as `relay.protocols.http_request` lets it through: the library's own
            parser would look at each line once more, for 30 µs.
        with_body: whether the request has a body, which was read.

    Raises:
        Refused: with 400; it announces a body, and must not have one. With 415; its body is compressed.
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
    if with_body:
        if any(coding.lower() != "identity" for coding in headers.get_all("Content-Encoding")):
            raise Refused(415, "the body must not be compressed: Content-Encoding must be identity")
    elif "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
        raise Refused(400, "a request like this has no body")
    return Request(path, headers, method, protocol)


def _check_lists(headers: Headers) -> None:
    """Refuse lists that the library would take long for."""
    for name in ("Connection", "Sec-WebSocket-Protocol"):
        if ",".join(headers.get_all(name)).count(",") >= MAX_ELEMENTS:
            raise Refused(400, f"{name} has more than {MAX_ELEMENTS} elements")


def _only(headers: Headers, name: str) -> str | None:
    """Return a header that may come once; None when it doesn't come.

    Raises:
        Refused: with 400; it came more than once.
    """
    values = headers.get_all(name)
    if len(values) > 1:
        raise Refused(400, f"more than one {name} header")
    return values[0] if values else None


def _stream_head(content_type: str, cors: Mapping[str, str]) -> bytes:
    """Return the head of a response that doesn't end."""
    headers = Headers(cors)
    headers["Date"] = date_of(int(time.time()))
    headers["Server"] = "relay"
    headers["Content-Type"] = content_type
    headers["Cache-Control"] = "no-store"
    headers["X-Accel-Buffering"] = "no"  # nginx would collect events
    headers["Connection"] = "close"
    return Response(200, "OK", headers).serialize()

"""The reading of requests that open WebSockets and event streams, with their credentials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from relay import Settings
from relay.auth.credential import SUBPROTOCOL, find_credential
from relay.gateway.opening_request import OpeningRequest, OpeningRequests
from relay.protocols.http_request import find_head, read_head
from relay.protocols.request import ConnectRequest
from relay.proxies.forwarded import TrustedProxies
from tests.fuzz.grammar import credential, http, websocket
from tests.fuzz.parsers.http import COOKIE, HEAD_STATUSES
from tests.fuzz.parsers.parser import Parser, Wrong, expect

PEER: Final = "10.0.0.1"

SECRET: Final = "a secret of more than thirty-two bytes"

_DATE: Final = re.compile(rb"\r\nDate: [^\r]*")
_RESPONSE: Final = re.compile(rb"HTTP/1\.1 (?:101|200) [A-Za-z ]+\r\n(?:[A-Za-z-]+: [\t\x20-\x7e]*\r\n)+\r\n")
_PARAMETER: Final = re.compile(r"[?&]token=[^& ]*")
_HEADER: Final = re.compile(r"(?im)^(?:authorization|cookie|sec-websocket-protocol):.*$")
_SPLIT: Final = re.compile(r"[=;, \t\"]+|" + re.escape(SUBPROTOCOL))


def _requests(auth: str, **settings: Any) -> OpeningRequests:
    proxies = TrustedProxies(("10.0.0.0/8",))
    return OpeningRequests(Settings(port=0, auth=auth, **settings), proxies, auth, lambda _address: None)


_GATEWAYS: Final = (
    _requests("none"),
    _requests("none", allowed_origins="https://app.example.com,null", allowed_hosts="a", subprotocols="relay,a"),
    _requests("jwt", jwt_secret=SECRET, allowed_origins="https://app.example.com,https://*.example.com"),
    _requests("key", auth_keys="k3y-of-the-deployment", trusted_proxies="10.0.0.0/8"),
)


def make_opening(random: Random) -> bytes:
    """Return a request that opens a WebSocket or an event stream."""
    made = credential.request(random) if random.random() < 0.4 else websocket.handshake(random)
    if random.random() < 0.2:
        made = made.replace(b" /ws", b" /sse", 1).replace(b"Upgrade: websocket\r\n", b"")
    return made.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def read_opening(data: bytes) -> tuple[Any, ...] | None:
    """Return what a request asks for, and with which credential; None when it isn't for this parser."""
    size = find_head(bytearray(data), 16_384)
    if size is None:
        return None
    head = read_head(data[:size], 100)
    gateway = _GATEWAYS[len(data) % len(_GATEWAYS)]
    if not head.websocket and not head.target.startswith(b"/sse"):
        return None
    read = gateway.read_upgrade if head.websocket else gateway.read_event_stream
    opening = read(head.raw, PEER)
    expect(opening, OpeningRequest)
    request, protocol = opening.request, opening.protocol
    expect(request, ConnectRequest)
    if _RESPONSE.fullmatch(opening.response) is None:
        raise Wrong(f"the response is malformed: {opening.response!r}")
    found = find_credential(request, COOKIE)
    expect(found, (str, type(None)))
    return (
        (request.path, request.query, request.remote, request.bearer, found),
        (protocol.channel, protocol.echo, opening.client_class),
        (_DATE.sub(b"", opening.response), opening.headers),
    )


def secrets_of(data: bytes) -> Sequence[str]:
    """Return what stands where credentials stand, and nowhere else."""
    line, _, headers = data.decode("latin-1").replace("\r\n", "\n").partition("\n")
    carriers = _PARAMETER.findall(line) + _HEADER.findall(headers)
    rest = _PARAMETER.sub("", line) + _HEADER.sub("", headers)
    found = [part for carrier in carriers for part in _SPLIT.split(carrier)]
    return [part for part in found if part[:12] not in rest and part[-12:] not in rest]


PARSERS: Final = {
    "opening": Parser(
        15,
        make_opening,
        http.TOKENS + credential.TOKENS,
        read_opening,
        statuses=HEAD_STATUSES,
        secrets=secrets_of,
        max_bytes=4000,
    )
}

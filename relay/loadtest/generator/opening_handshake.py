"""The opening handshake of a WebSocket client (RFC 6455, 4.1): the request, and the check of the response."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from typing import Final, cast

from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.virtual_client import VirtualClient

MAX_HEAD_BYTES: Final = 16 << 10

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


def new_key() -> bytes:
    """Return a value for Sec-WebSocket-Key."""
    return b64encode(os.urandom(16))


def opening_request(target: str, host: str, key: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """Return an opening request.

    Args:
        target: path and query.
        host: value of the Host header.
        key: from `new_key`.
        headers: further headers.
    """
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def check_response(head: bytes, key: bytes) -> None:
    """Check the head of the response to an opening request, up to its empty line.

    Raises:
        RemoteProtocolError: the response does not open a WebSocket.
    """
    status, _, rest = head.partition(b"\r\n")
    if not status.startswith(b"HTTP/1.1 101"):
        words = status.split(b" ", 2)
        is_http = len(words) > 1 and words[0].startswith(b"HTTP/")
        # Three digits (RFC 9110, 15), however many a server sends.
        raise RemoteProtocolError(f"HTTP {words[1][:3].decode(errors='replace')}" if is_http else "not an HTTP answer")
    fields = dict(line.split(b":", 1) for line in rest.split(b"\r\n") if b":" in line)
    accept = next((value.strip() for name, value in fields.items() if name.lower() == b"sec-websocket-accept"), b"")
    if accept != b64encode(sha1(key + _GUID, usedforsecurity=False).digest()):
        raise RemoteProtocolError("wrong Sec-WebSocket-Accept")


class OpeningHandshake(asyncio.Protocol):
    """The opening handshake of one session; hands the connection over to its client.

    Args:
        client: the client whose session begins.
        request: head of the opening request.
        key: the Sec-WebSocket-Key in it.
    """

    __slots__ = ("_client", "_data", "_key", "_request", "_transport")

    def __init__(self, client: VirtualClient, request: bytes, key: bytes) -> None:
        self._client = client
        self._request = request
        self._key = key
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        # uvloop's transports don't inherit from asyncio's.
        transport = self._transport = cast(asyncio.Transport, transport)
        # pause_writing must come as soon as the socket is full: a message counts as sent when the kernel has it. But
        # the TLS transports of asyncio and uvloop would pause after a write, and resume with the next one.
        if transport.get_extra_info("sslcontext") is None:
            transport.set_write_buffer_limits(high=0)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the response."""
        assert self._transport is not None
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        try:
            if end:
                check_response(head, self._key)
                self._transport.set_protocol(self._client)
                self._client.opened(self._transport, rest)
            elif len(head) > MAX_HEAD_BYTES:
                raise RemoteProtocolError("endless answer to the handshake")
        except RemoteProtocolError as error:
            self._fail(error)
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the handshake."""
        self._fail(error or RemoteProtocolError("closed in the handshake"))

    def abandon(self) -> None:
        """Abort a handshake that takes too long; a no-op once it is over."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._client.subscribed is not None and not self._client.subscribed.done():
            self._client.subscribed.set_exception(error)

"""Opens connections, and says why it could not."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from relay.loadtest.generator.frame_codec import WireError, new_key, opening
from relay.loadtest.generator.virtual_client import Client, Opening

_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: choose the local port only when connecting, so that each address has its ports once per destination."""

_NAMES: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.EMFILE: "too many open files",
    errno.EADDRNOTAVAIL: "no local port left",
}


class Destination(NamedTuple):
    """Where a server is.

    Args:
        family: of its address, as the socket module numbers them.
        address: IP address and port, and for IPv6 what else the family needs.
        tls: whether the connection is encrypted.
        name: of the host, as certificates and the Host header have it.
        host: value of the Host header.
    """

    family: int
    address: tuple[str, int] | tuple[str, int, int, int]
    tls: bool
    name: str
    host: str


def resolve(url: str) -> Destination:
    """Return the destination of a ws or wss URL.

    Raises:
        OSError: the name can't be looked up.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "wss"
    name = parts.hostname or ""
    found = socket.getaddrinfo(name, parts.port or (443 if tls else 80), type=socket.SOCK_STREAM)
    # IPv4 first: 127.0.0.0/8 has addresses to spare, ::1 has none.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, *_, address = found[0]
    return Destination(family, address, tls, name, parts.netloc.rpartition("@")[2])  # type: ignore[arg-type]


class Connector:
    """Opens the connections of one worker.

    Args:
        headers: of each opening request, besides the usual ones.
        timeout: seconds until a client must be subscribed.
    """

    def __init__(self, headers: tuple[tuple[str, str], ...], timeout: float) -> None:
        self._headers = headers
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None

    async def connect(self, client: Client, url: str, destination: Destination, source: str | None) -> int:
        """Begin a session.

        Args:
            client: whose session it is.
            url: of the channel.
            destination: of the URL.
            source: local address; None: the system chooses.

        Returns:
            ns from the beginning of the connection until the client was subscribed.

        Raises:
            OSError, WireError: it failed; see `cause`.
            TimeoutError: it took too long.
        """
        loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        key = new_key()
        protocol = Opening(client, opening(target, destination.host, key, self._headers), key)
        client.subscribed = loop.create_future()
        begun = time.monotonic_ns()
        try:
            async with asyncio.timeout(self._timeout):
                sock = await self._dial(destination, source)
                tls = self._context() if destination.tls else None
                await loop.create_connection(
                    lambda: protocol, sock=sock, ssl=tls, server_hostname=destination.name if tls else None
                )
                await client.subscribed
        except BaseException:
            client.cut()
            protocol.abandon()
            raise
        finally:
            subscribed, client.subscribed = client.subscribed, None
            if subscribed.done() and not subscribed.cancelled():
                subscribed.exception()  # seen
        return time.monotonic_ns() - begun

    @staticmethod
    async def _dial(destination: Destination, source: str | None) -> socket.socket:
        sock = socket.socket(destination.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(sock, destination.address)
        except BaseException:
            sock.close()
            raise
        return sock

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def cause(error: Exception) -> str:
    """Return in a few words why a connection failed; equal failures have equal words, so that they can be counted."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason}"
    if isinstance(error, WireError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _NAMES.get(error.errno) or os.strerror(error.errno)
    return type(error).__name__

"""Opens connections, and names the cause when that fails."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.opening_handshake import OpeningHandshake, new_key, opening_request
from relay.loadtest.generator.virtual_client import VirtualClient
from relay.loadtest.plan.plan import Trust
from relay.loadtest.plan.server_address import ServerAddress

_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: choose the local port only when connecting, so that each source address has its ports once per destination."""

_CAUSES: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.EMFILE: "too many open files",
    errno.EADDRNOTAVAIL: "no local port left",
}


class Connector:
    """Opens the connections of one worker.

    Args:
        headers: further headers of each opening request.
        timeout: seconds within which a client must be subscribed.
        trust: which certificates of servers are trusted.
    """

    def __init__(self, headers: tuple[tuple[str, str], ...], timeout: float, trust: Trust) -> None:
        self._headers = headers
        self._timeout = timeout
        self._trust = trust
        self._tls: ssl.SSLContext | None = None

    async def connect(self, client: VirtualClient, url: str, address: ServerAddress, source: str | None) -> int:
        """Begin a session.

        Args:
            client: the client whose session begins.
            url: URL of the channel.
            address: address of the URL's server.
            source: local address; None: the system chooses.

        Returns:
            ns from the beginning of the connection until the client was subscribed.

        Raises:
            OSError, RemoteProtocolError: it failed; see `cause`.
            TimeoutError: it took too long.
        """
        loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        key = new_key()
        handshake = OpeningHandshake(client, opening_request(target, address.host, key, self._headers), key)
        client.subscribed = loop.create_future()
        begun = time.monotonic_ns()
        try:
            async with asyncio.timeout(self._timeout):
                sock = await self._dial(address, source)
                tls = self._context() if address.tls else None
                await loop.create_connection(
                    lambda: handshake, sock=sock, ssl=tls, server_hostname=address.name if tls else None
                )
                await client.subscribed
        except BaseException:
            client.reset()
            handshake.abandon()
            raise
        finally:
            subscribed, client.subscribed = client.subscribed, None
            if subscribed.done() and not subscribed.cancelled():
                subscribed.exception()  # marks it as retrieved
        return time.monotonic_ns() - begun

    @staticmethod
    async def _dial(address: ServerAddress, source: str | None) -> socket.socket:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(sock, address.address)
        except BaseException:
            sock.close()
            raise
        return sock

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._trust.ca_file)
            # The certificate of a gateway itself may be given, which mostly isn't one of an authority.
            self._tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            self._tls.check_hostname = not self._trust.any_name
        return self._tls


def cause(error: Exception) -> str:
    """Return in a few words why a connection failed; equal failures have equal words, so that they can be counted."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason}"
    if isinstance(error, RemoteProtocolError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _CAUSES.get(error.errno) or os.strerror(error.errno)
    return type(error).__name__

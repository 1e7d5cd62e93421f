"""Opens connections, and names the cause when that fails."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

from relay.loadtest.generator.dialer import Dialer
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.opening_handshake import OpeningHandshake, new_key, opening_request
from relay.loadtest.generator.virtual_client import VirtualClient
from relay.loadtest.plan.plan import Trust
from relay.loadtest.plan.server_address import ServerAddress

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
        self._dialer = Dialer(trust)

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
                sock = await self._dialer.dial(address, source)
                tls = self._dialer.tls(address)
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

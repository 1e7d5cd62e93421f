"""Dials the servers: a TCP connection from the right address, and what TLS has to trust."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Final

from relay.loadtest.plan.plan import Trust
from relay.loadtest.plan.server_address import ServerAddress

_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: choose the local port only when connecting, so that each source address has its ports once per destination."""


class Dialer:
    """Opens the TCP connections of one worker.

    Args:
        trust: which certificates of servers are trusted.
    """

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._tls: ssl.SSLContext | None = None

    async def dial(self, address: ServerAddress, source: str | None) -> socket.socket:
        """Return a socket that is connected.

        Args:
            address: of the server.
            source: local address; None: the system chooses.

        Raises:
            OSError: it failed.
        """
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

    def tls(self, address: ServerAddress) -> ssl.SSLContext | None:
        """Return what TLS with a server has to trust; None when the connection isn't encrypted."""
        if not address.tls:
            return None
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._trust.ca_file)
            # The certificate of a gateway itself may be given, which mostly isn't one of an authority.
            self._tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            self._tls.check_hostname = not self._trust.any_name
        return self._tls

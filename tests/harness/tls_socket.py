"""A socket that speaks TLS, or sends what it is told instead of TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final

from tests.harness.certificate_authority import CertificateAuthority

NAME: Final = "localhost"

TRUSTED: Final[dict[int, ssl.SSLContext]] = {}
"""Port of 127.0.0.1 → what its clients trust. Clients of the harness speak TLS to these ports."""


def trust_port(port: int, authority: CertificateAuthority) -> None:
    """Let all clients of the harness speak TLS with a port."""
    TRUSTED[port] = authority.trust()


class TlsSocket:
    """The TLS of a non-blocking socket that is connected.

    Args:
        connected: the socket; it stays the caller's.
        context: what is trusted.
        session: of an earlier connection, to be resumed; None: none.

    Attributes:
        tls: its state.
    """

    def __init__(
        self, connected: socket.socket, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=NAME, session=session)

    async def handshake(self) -> None:
        """Do the TLS handshake."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                await self._more()
            else:
                await self.flush()
                return

    async def send(self, data: bytes) -> None:
        """Encrypt and send."""
        self.encrypt(data)
        await self.flush()

    def encrypt(self, data: bytes) -> None:
        """Encrypt, and send it later."""
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view) :]

    def take(self) -> bytes:
        """Return what would be sent, instead of sending it."""
        return self._outgoing.read()

    async def receive(self) -> bytes:
        """Return what has come; empty: the server has closed its side."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self._more()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def finish(self) -> None:
        """Send `close_notify`."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            await self.flush()

    async def flush(self) -> None:
        """Send what is encrypted."""
        if self._outgoing.pending:
            await asyncio.get_running_loop().sock_sendall(self._socket, self._outgoing.read())

    async def _more(self) -> None:
        received = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        if received:
            self._incoming.write(received)
        else:
            self._incoming.write_eof()

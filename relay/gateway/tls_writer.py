"""The half of a TLS connection that writes and ends. A write is one record, unless it is larger than one may be."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final

from relay.gateway.tls import Tls

FLUSH_BYTES: Final = 256 * 1024
"""Encrypted bytes of one write that are put together. All connections share their buffer, which never shrinks."""


class TlsWriter(asyncio.Transport):
    """The way out of a connection with TLS, over the transport of its socket.

    `write_eof` sends `close_notify`, and the client may go on: both sides may be closed apart, as with TCP (RFC 8446,
    section 6.1).

    Args:
        shared: what all TLS connections share.
        raw: the transport of the socket.
        tls: the state of the connection.
        certificate_user: the user whom the client's certificate names; None: it has shown none.
    """

    __slots__ = ("_certificate_user", "_closing", "_finished", "_raw", "_shared", "_tls")

    def __init__(self, shared: Tls, raw: asyncio.Transport, tls: ssl.SSLObject, certificate_user: str | None) -> None:
        self._shared = shared
        self._raw = raw
        self._tls = tls
        self._certificate_user = certificate_user
        # Whether our side is closed, and whether both are.
        self._finished = self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and write; nothing happens once this side is closed."""
        if self._finished or not data:
            return
        outgoing = self._shared.outgoing
        try:
            done = self._tls.write(data)
            if done < len(data):
                self._write_records(memoryview(data)[done:])
        except ssl.SSLError:
            outgoing.read()
            self.abort()
            return
        self._raw.write(outgoing.read())

    def write_eof(self) -> None:
        """Close this side once everything is written, and go on reading."""
        self._finish()
        if not self._raw.is_closing() and self._raw.can_write_eof():
            with suppress(OSError):  # the client has disconnected, and the event loop hasn't noticed yet
                self._raw.write_eof()

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close both sides once everything is written."""
        if not self._closing:
            self._closing = True
            self._finish()
            self._raw.close()

    def abort(self) -> None:
        """Drop the socket at once."""
        self._closing = self._finished = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more, as both sides are closed or about to be."""
        return self._closing or self._raw.is_closing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set from how many encrypted bytes on the protocol is paused, and where it goes on."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return both, the lower one first."""
        return self._raw.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        """Return how many encrypted bytes wait."""
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection: what asyncio's transports know, and `certificate_user`."""
        if name == "certificate_user":
            return self._certificate_user
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        return self._raw.get_extra_info(name, default)

    def _write_records(self, data: memoryview) -> None:
        """Encrypt what is larger than a record, and write all but the end of it."""
        outgoing = self._shared.outgoing
        while data:
            data = data[self._tls.write(data) :]
            if outgoing.pending >= FLUSH_BYTES:
                self._raw.write(outgoing.read())

    def _finish(self) -> None:
        """Close our side."""
        if not self._finished:
            self._finished = True
            with suppress(ssl.SSLError):  # always one: the client has not answered yet
                self._tls.unwrap()
            if self._shared.outgoing.pending:
                self._raw.write(self._shared.outgoing.read())

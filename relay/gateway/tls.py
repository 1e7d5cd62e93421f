"""What the TLS connections of a gateway share."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final

from relay.gateway.tls_certificate import CertificateInUse
from relay.gateway.tls_turns import HandshakeTurns

RECEIVED_BYTES: Final = 16 * 1024
"""Of one read, still encrypted. A record has up to 16,406, and mostly far less."""

RECORD_BYTES: Final = 16 * 1024
"""What a record may hold (RFC 8446, section 5.1)."""


@dataclass(slots=True, eq=False)
class Tls:
    """Buffers and turns.

    OpenSSL reads from `incoming` and writes to `outgoing`. It is called with the bytes of one connection at a time, and
    both are empty whenever other code runs. So all connections can share them: a pair for each would grow with its
    largest record, and never shrink, up to 32 KB.

    Args:
        certificate: that clients are shown.
        turns: of the handshakes.
        incoming: encrypted bytes of the connection that is read.
        outgoing: encrypted bytes for the connection that is written to.
        received: what a socket is read into.
        plain: what is decrypted into for a protocol without a buffer of its own.
    """

    certificate: CertificateInUse
    turns: HandshakeTurns
    incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    received: memoryview = field(default_factory=lambda: memoryview(bytearray(RECEIVED_BYTES)))
    plain: memoryview = field(default_factory=lambda: memoryview(bytearray(RECORD_BYTES)))

    def open(self) -> ssl.SSLObject:
        """Return the TLS state of a new connection, with the certificate of now."""
        return self.certificate.current.context.wrap_bio(self.incoming, self.outgoing, server_side=True)

"""A connection with TLS, between the transport of its socket and the protocol of its client.

asyncio and uvloop have such a transport as well. Each of its connections has buffers of its own, and each read and
write goes through several layers: docs/architecture.md has what was measured.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

from relay.gateway.tls import RECEIVED_BYTES, Tls
from relay.gateway.tls_writer import TlsWriter
from relay.limits.rate import Rate

KEY_UPDATES: Final = Rate(per_second=1, burst=16)
"""New keys that a client may ask for. They are due after 24 million records (RFC 8446, section 5.5)."""

KEY_UPDATE_BYTES: Final = 27
"""Of the record that says that there is one (RFC 8446, sections 4.6.3 and 5.2)."""

FIRST_SHARE_BYTES: Final = 2048
LEAST_SHARE_BYTES: Final = 512
"""Encrypted bytes that are taken from a connection in one turn: twice as many after a full read, as long as they carry
data, and few when they don't. OpenSSL makes a new key in 13 µs, for every 27 bytes that say that the client has one,
and takes all that it is given at once: whole read buffers of these would stop all clients for 8 ms each."""

RECORD_OVERHEAD_BYTES: Final = 22
"""Of a record with data: header, type and authentication (RFC 8446, section 5.2), without padding."""

UNFINISHED_BYTES: Final = 16_640
"""A record may have so many (RFC 8446, section 5.2), and has no data for us before it is complete."""

WASTE: Final = Rate(per_second=32 * 1024, burst=256 * 1024)
"""Bytes of TLS 1.3 without data: new keys and padding. More end the connection; 32 KB are 1200 keys, and 2 % of a
core."""

NO_PROTOCOL: Final = asyncio.Protocol()
"""Comes between two protocols of a transport. uvloop keeps the last protocol's `data_received`, which clients don't
have: each would keep its handshake for as long as it stays, 380 bytes."""


class TlsTransport(asyncio.BufferedProtocol, TlsWriter):
    """The connection of a client whose TLS handshake is complete. To the socket's transport it is the protocol.

    A client that closes its socket without `close_notify` has ended its input as well: all that is spoken here says
    itself where it ends, so nothing that was cut short is taken for whole (RFC 8446, section 6.1).

    Args:
        shared: what all TLS connections share.
        raw: the transport of the socket; its reading is paused.
        tls: the state of the connection.
        protocol: gets what is decrypted.
        rest: what has come after the handshake already.
        certificate_user: the user whom the client's certificate names; None: it has shown none.
    """

    __slots__ = (
        "_ended",
        "_fills",
        "_keys_due",
        "_more",
        "_paused",
        "_protocol",
        "_rest",
        "_share",
        "_sharing",
        "_turn_due",
        "_waste_due",
        "_without_data",
    )

    def __init__(
        self,
        shared: Tls,
        raw: asyncio.Transport,
        tls: ssl.SSLObject,
        protocol: asyncio.Protocol,
        rest: bytes,
        certificate_user: str | None,
    ) -> None:
        super().__init__(shared, raw, tls, certificate_user)
        self._protocol = protocol
        self._fills = isinstance(protocol, asyncio.BufferedProtocol)
        # Encrypted bytes that wait for a turn, and whether they do, or something within OpenSSL.
        self._rest = rest
        self._more = bool(rest)
        self._turn_due = False
        self._paused = False
        # Whether the client has closed its side.
        self._ended = False
        # How many bytes are taken in one turn; up to TLS 1.2 no record without data is dear.
        self._sharing = tls.version() == "TLSv1.3"
        self._share = FIRST_SHARE_BYTES if self._sharing else RECEIVED_BYTES
        self._without_data = 0
        # See `Rate`.
        self._keys_due = self._waste_due = 0.0

    def start(self) -> None:
        """Take over the socket, and begin to read."""
        self._raw.set_protocol(NO_PROTOCOL)
        self._raw.set_protocol(self)
        if self._more:
            self._take_turn_later()
        else:
            self._raw.resume_reading()

    # What the socket's transport calls.

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer that all connections share, or a part of it."""
        return self._shared.received[: self._share]

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what was read, and hand it on."""
        if not self._ended:
            self._decrypt(self._shared.received[:nbytes])

    def eof_received(self) -> bool:
        """Tell the protocol that the client has closed its side, unless it has said so before."""
        self._end_of_input()
        return not self._closing

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, and let go of it."""
        self._closing = True
        protocol, self._protocol = self._protocol, NO_PROTOCOL
        self._rest = b""
        protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the protocol that the socket takes no more for now."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Tell the protocol that there is room again."""
        self._protocol.resume_writing()

    # What protocols call to read.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand on what comes to another protocol."""
        self._protocol = cast(asyncio.Protocol, protocol)
        self._fills = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._protocol

    def is_reading(self) -> bool:
        """Return whether what comes is handed on."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Hand on nothing until `resume_reading`."""
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Hand on what has come meanwhile, and what comes."""
        if self._paused and not self._closing:
            self._paused = False
            if self._more:
                self._take_turn_later()
            else:
                self._raw.resume_reading()

    # Reading.

    def _decrypt(self, received: memoryview | bytes) -> None:
        """Decrypt as much as there is room for, and hand it on."""
        shared = self._shared
        incoming = shared.incoming
        read: Callable[[int, memoryview], int] = self._tls.read  # type: ignore[assignment]  # with a buffer
        buffer = self._protocol.get_buffer(-1) if self._fills else shared.plain  # type: ignore[attr-defined]
        size, room, records = 0, len(buffer), 1
        ended = broken = False
        incoming.write(received)
        try:
            size = read(room, buffer)
            ended = not size
            while incoming.pending and size < room and not ended:  # several records
                more = read(room - size, buffer[size:])
                size += more
                records += 1
                ended = not more
        except ssl.SSLWantReadError:
            pass  # the rest of a record has not come yet
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError:
            broken = True
        # All connections share both buffers: they must be empty before anything else runs.
        decrypted = len(received) - incoming.pending
        if incoming.pending:
            self._rest = incoming.read() + self._rest
        answer = shared.outgoing.read() if shared.outgoing.pending else b""
        self._more = bool(self._rest) or (size == room and self._tls.pending() > 0)
        if self._finished:
            answer = b""
        elif broken:
            self._finished = True  # nothing comes behind the alert
        elif answer:
            self._announce_keys(answer)
        if self._sharing:
            self._set_share(decrypted, size, records)
        if size:
            self._hand_on(buffer, size)
        if broken:
            self._break(answer)
        elif ended:
            self._end_of_input()
        elif self._more and not self._paused and not self._closing:
            # As after a full read buffer: others have their turn.
            self._raw.pause_reading()
            self._take_turn_later()

    def _set_share(self, received: int, size: int, records: int) -> None:
        """Decide by what has come how many bytes are taken in the next turn.

        Args:
            received: bytes that were decrypted.
            size: bytes of data that they carried, and those of before that were no whole record.
            records: how many these were.
        """
        left = received - size - (records * RECORD_OVERHEAD_BYTES if size else 0)
        self._without_data = max(0, self._without_data + left)
        if self._without_data > UNFINISHED_BYTES:
            now = asyncio.get_running_loop().time()
            due = WASTE.count(self._waste_due, now, self._without_data - UNFINISHED_BYTES)
            self._without_data, self._share = UNFINISHED_BYTES, LEAST_SHARE_BYTES
            if due is None:
                self.abort()
            else:
                self._waste_due = due
        elif left < 0 or (received == self._share and left * 2 < received):
            self._share = min(self._share * 2, RECEIVED_BYTES)

    def _hand_on(self, buffer: memoryview, size: int) -> None:
        protocol = self._protocol
        if self._fills:
            protocol.buffer_updated(size)  # type: ignore[attr-defined]
        else:
            protocol.data_received(bytes(buffer[:size]))

    def _announce_keys(self, records: bytes) -> None:
        """Write that there are new keys, as the client has asked for, unless it asks all the time."""
        now = asyncio.get_running_loop().time()
        due = KEY_UPDATES.count(self._keys_due, now, max(1, len(records) // KEY_UPDATE_BYTES))
        if due is None:
            self.abort()
        else:
            self._keys_due = due
            self._raw.write(records)

    def _break(self, alert: bytes) -> None:
        """Drop the connection: what came can't be decrypted, or is none of what may come."""
        if not alert or self._closing or self._raw.get_write_buffer_size():
            self.abort()  # the client reads no alert any more
        else:
            self._closing = True
            self._raw.write(alert)
            self._raw.close()

    def _end_of_input(self) -> None:
        """Tell the protocol once that the client has closed its side, and close ours unless it wants to write on."""
        if not self._ended and not self._closing:
            self._ended = True
            if not self._protocol.eof_received():
                self.close()

    def _take_turn_later(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Decrypt what waits, and read on when nothing is left."""
        self._turn_due = False
        if self._paused or self._closing:
            return
        rest, self._rest = self._rest[: self._share], self._rest[self._share :]
        self._decrypt(rest)
        if not self._more and not self._paused and not self._closing:
            self._raw.resume_reading()

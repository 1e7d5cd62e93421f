"""The first message of a TLS client, `ClientHello`: whether it is complete, and what answering it would cost. Pure.

It waits here until it is complete, as the bytes that have come. OpenSSL would take as much memory as the message says
it will have, 128 KB, for a client that then sends nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relay.errors import RelayError

MAX_BYTES: Final = 16 * 1024
"""Of the whole message. Browsers send 0.5 to 2 KB; keys that quantum computers can't break, and tickets of sessions
with client certificates, are the largest parts."""

MAX_RECORDS: Final = 16
"""Over which it may be spread. One is usual; a few more are sent to get past filters."""

HANDSHAKE: Final = 22
"""The type of its records, and so the first byte of every TLS client (RFC 8446, section 5.1)."""

_CLIENT_HELLO: Final = 1
_SUPPORTED_GROUPS: Final = 10
_KEY_SHARE: Final = 51

_CURVES: Final = frozenset((0x17, 0x18, 0x19, 0x1D, 0x1E, 0x11EB, 0x11EC, 0x11ED))
"""P-256, P-384, P-521, X25519, X448, and those together with ML-KEM."""

_FINITE_FIELDS: Final = range(0x0100, 0x0200)
"""Diffie-Hellman without curves (RFC 7919). 8192 bits take the server 17 ms, the client next to nothing
(CVE-2022-40735), and Python can't switch them off."""


class HelloError(RelayError):
    """What comes is no `ClientHello`."""


class ClientHello(NamedTuple):
    """A complete `ClientHello`, as far as it matters before OpenSSL reads it.

    Args:
        groups: for the exchange of keys, that the client can do, its best first; empty: it doesn't say.
        shares: those of them for which it has sent a key already, its best first.
    """

    groups: tuple[int, ...]
    shares: tuple[int, ...]

    @property
    def dear(self) -> bool:
        """Whether OpenSSL would exchange keys over a finite field.

        It takes the first share that it knows, else the curve that it likes best, and a finite field when there is no
        curve.
        """
        known = [share for share in self.shares if share in _CURVES or share in _FINITE_FIELDS]
        if known:
            return known[0] in _FINITE_FIELDS
        return any(group in _FINITE_FIELDS for group in self.groups) and not _CURVES.intersection(self.groups)


def read_client_hello(received: bytes | bytearray) -> ClientHello | None:
    """Read a `ClientHello`.

    Args:
        received: all that has come so far.

    Returns:
        None: it is not complete yet.

    Raises:
        HelloError: it is none, is larger than `MAX_BYTES`, or is spread over more than `MAX_RECORDS` records.
    """
    message, position = bytearray(), 0
    for _ in range(MAX_RECORDS):
        header = received[position : position + 5]
        if header[:1] not in (b"", bytes((HANDSHAKE,))) or header[1:2] not in (b"", b"\x03"):
            raise HelloError
        if len(header) < 5:
            return None
        size = int.from_bytes(header[3:])
        if not 1 <= size <= MAX_BYTES:
            raise HelloError
        message += received[position + 5 : position + 5 + size]
        position += 5 + size
        announced = int.from_bytes(message[1:4])
        if message[0:1] not in (b"", bytes((_CLIENT_HELLO,))) or announced > MAX_BYTES:
            raise HelloError
        if 4 <= len(message) >= 4 + announced:
            return _read(bytes(message[4 : 4 + announced]))
        if position >= len(received):
            return None
    raise HelloError


def _read(body: bytes) -> ClientHello:
    """Read the message (RFC 8446, section 4.1.2)."""
    fields = _Fields(body)
    fields.skip(2 + 32)  # version, random
    fields.vector(1)  # session id
    fields.vector(2)  # cipher suites
    fields.vector(1)  # compression
    groups: tuple[int, ...] = ()
    shares: list[int] = []
    extensions = _Fields(fields.vector(2) if fields.left else b"")
    while extensions.left:
        kind, value = extensions.number(2), _Fields(extensions.vector(2))
        if kind == _SUPPORTED_GROUPS:
            listed = value.vector(2)
            groups = tuple(int.from_bytes(listed[at : at + 2]) for at in range(0, len(listed), 2))
        elif kind == _KEY_SHARE:
            entries = _Fields(value.vector(2))
            while entries.left:
                shares.append(entries.number(2))
                entries.vector(2)
    return ClientHello(groups, tuple(shares))


class _Fields:
    """The fields of a message, one after the other; each raises `HelloError` where the message ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self._position

    def skip(self, size: int) -> bytes:
        """Read some bytes."""
        if size > self.left:
            raise HelloError
        self._position += size
        return self._data[self._position - size : self._position]

    def number(self, size: int) -> int:
        """Read a number of so many bytes."""
        return int.from_bytes(self.skip(size))

    def vector(self, size: int) -> bytes:
        """Read bytes that come after their number, which has so many bytes itself."""
        return self.skip(self.number(size))

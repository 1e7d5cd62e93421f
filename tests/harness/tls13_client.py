"""A TLS 1.3 client made by hand: within an honest connection it sends records that no library would (RFC 8446)."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.harness.conditions import PATIENCE_SECONDS

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23

KEY_UPDATE: Final = b"\x18\x00\x00\x01\x00"
KEY_UPDATE_REQUEST: Final = b"\x18\x00\x00\x01\x01"
"""That the sender has a new key; and that the other side shall have one, too (section 4.6.3)."""

X25519: Final = 0x1D


def vector(data: bytes, size: int) -> bytes:
    """Return bytes behind their number, which has `size` bytes."""
    return len(data).to_bytes(size) + data


def record(kind: int, payload: bytes) -> bytes:
    """Return a record that isn't encrypted."""
    return bytes([kind, 3, 3]) + vector(payload, 2)


def client_hello(
    key: bytes = b"", *, groups: tuple[int, ...] = (X25519,), shares: tuple[int, ...] | None = None, padding: int = 0
) -> bytes:
    """Return a `ClientHello` as a handshake message, the same each time.

    Args:
        key: public key for the shares.
        groups: that it says it can do.
        shares: groups for which it sends a key; None: all.
        padding: bytes of an extension without meaning.
    """
    sent = b"".join(struct.pack("!H", group) + vector(key, 2) for group in (groups if shares is None else shares))
    extensions = {
        0x002B: b"\x02\x03\x04",  # TLS 1.3 alone
        0x000D: vector(b"\x04\x03\x08\x04\x04\x01", 2),  # signatures: ECDSA, RSA
        0x000A: vector(b"".join(struct.pack("!H", group) for group in groups), 2),
        0x0033: vector(sent, 2),
    }
    if padding:
        extensions[0x0015] = bytes(padding)
    body = b"\x03\x03" + bytes(range(32)) + vector(b"", 1) + vector(b"\x13\x01", 2) + vector(b"\x00", 1)
    body += vector(b"".join(struct.pack("!H", kind) + vector(value, 2) for kind, value in extensions.items()), 2)
    return b"\x01" + vector(body, 3)


class _Keys:
    """The key of one direction, and the number of the next record."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self._cipher = AESGCM(_expand(secret, "key", b"", 16))
        self._iv = int.from_bytes(_expand(secret, "iv", b"", 12))
        self._number = 0

    def seal(self, kind: int, payload: bytes) -> bytes:
        """Return an encrypted record."""
        inner = payload + bytes([kind])
        head = bytes([DATA, 3, 3]) + (len(inner) + 16).to_bytes(2)
        return head + self._cipher.encrypt(self._nonce(), inner, head)

    def open(self, head: bytes, sealed: bytes) -> tuple[int, bytes]:
        """Return type and payload of a record."""
        inner = self._cipher.decrypt(self._nonce(), sealed, head).rstrip(b"\x00")
        return inner[-1], inner[:-1]

    def next(self) -> _Keys:
        """Return the next generation (section 7.2)."""
        return _Keys(_expand(self.secret, "traffic upd", b"", 32))

    def _nonce(self) -> bytes:
        self._number += 1
        return (self._iv ^ (self._number - 1)).to_bytes(12)


class Tls13Client:
    """A connection to a port of 127.0.0.1, with X25519 and TLS_AES_128_GCM_SHA256. Nothing of the server is verified.

    An async context manager: connected and in TLS at its beginning, dropped at its end.

    Args:
        port: TCP port.
    """

    _out: _Keys
    _in: _Keys

    def __init__(self, port: int) -> None:
        self._port = port
        self._buffer = bytearray()
        self.socket = socket.socket()
        self.socket.setblocking(False)

    async def __aenter__(self) -> Self:
        try:
            await asyncio.get_running_loop().sock_connect(self.socket, ("127.0.0.1", self._port))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._handshake()
        except BaseException:
            self.socket.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def seal(self, kind: int, payload: bytes) -> bytes:
        """Return an encrypted record; after a `KeyUpdate` with the new key."""
        sealed = self._out.seal(kind, payload)
        if kind == HANDSHAKE and payload in (KEY_UPDATE, KEY_UPDATE_REQUEST):
            self._out = self._out.next()
        return sealed

    async def send(self, data: bytes) -> None:
        """Send exact bytes."""
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self) -> tuple[int, bytes]:
        """Return type and payload of the next record, whatever it is.

        Raises:
            EOFError: the server has ended the connection.
        """
        head, sealed = await self._record()
        kind, payload = self._in.open(head, sealed)
        if kind == HANDSHAKE and payload.startswith(KEY_UPDATE[:1]):
            self._in = self._in.next()
        return kind, payload

    async def data(self, size: int) -> bytes:
        """Return the next bytes of the application."""
        received = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(received) < size:
                kind, payload = await self.receive()
                received += payload if kind == DATA else b""
        return received

    async def to_the_end(self) -> list[tuple[int, bytes]]:
        """Return all records until the server has ended the connection."""
        found = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    found.append(await self.receive())
                except (EOFError, ConnectionError):
                    return found

    async def _handshake(self) -> None:
        own = X25519PrivateKey.generate()
        transcript = client_hello(own.public_key().public_bytes_raw())
        await self.send(record(HANDSHAKE, transcript))
        _, hello = await self._record()
        transcript += hello
        shared = own.exchange(X25519PublicKey.from_public_bytes(_share_of(hello)))
        early = _extract(bytes(32), bytes(32))
        secret = _extract(_expand(early, "derived", hashlib.sha256().digest(), 32), shared)
        now = hashlib.sha256(transcript).digest()
        self._out = _Keys(_expand(secret, "c hs traffic", now, 32))
        self._in = _Keys(_expand(secret, "s hs traffic", now, 32))
        flight = b""
        while not _finished(flight):
            head, sealed = await self._record()
            if head[0] == DATA:
                flight += self._in.open(head, sealed)[1]
        transcript += flight
        now = hashlib.sha256(transcript).digest()
        mac = hmac.HMAC(_expand(self._out.secret, "finished", b"", 32), hashes.SHA256())
        mac.update(now)
        await self.send(self._out.seal(HANDSHAKE, b"\x14" + vector(mac.finalize(), 3)))
        master = _extract(_expand(secret, "derived", hashlib.sha256().digest(), 32), bytes(32))
        self._out = _Keys(_expand(master, "c ap traffic", now, 32))
        self._in = _Keys(_expand(master, "s ap traffic", now, 32))

    async def _record(self) -> tuple[bytes, bytes]:
        while len(self._buffer) < 5 or len(self._buffer) < 5 + int.from_bytes(self._buffer[3:5]):
            received = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
            if not received:
                raise EOFError
            self._buffer += received
        head = bytes(self._buffer[:5])
        size = int.from_bytes(head[3:])
        payload = bytes(self._buffer[5 : 5 + size])
        del self._buffer[: 5 + size]
        return head, payload


def _share_of(hello: bytes) -> bytes:
    """Return the key in a `ServerHello`."""
    at = hello.index(b"\x00\x33\x00\x24\x00\x1d\x00\x20")
    return hello[at + 8 : at + 40]


def _finished(flight: bytes) -> bool:
    """Return whether messages are whole, and the last one is `Finished`."""
    position, last = 0, 0
    while position + 4 <= len(flight):
        last = flight[position]
        position += 4 + int.from_bytes(flight[position + 1 : position + 4])
    return position == len(flight) and last == 20


def _extract(salt: bytes, key: bytes) -> bytes:
    mac = hmac.HMAC(salt, hashes.SHA256())
    mac.update(key)
    return mac.finalize()


def _expand(secret: bytes, label: str, context: bytes, size: int) -> bytes:
    """Return the key of a label (section 7.1)."""
    info = size.to_bytes(2) + vector(b"tls13 " + label.encode(), 1) + vector(context, 1)
    return HKDFExpand(hashes.SHA256(), size, info).derive(secret)

"""The parser of the first message of a TLS client."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from relay.tls.client_hello import ClientHello, HelloError, read_client_hello
from tests.fuzz.parsers.parser import Parser, expect
from tests.harness.tls13_client import HANDSHAKE, client_hello, record

TOKENS: Final = (
    b"\x16\x03\x01",
    b"\x16\x03\x03\x00\x01",
    b"\x01\x00\x00",
    b"\x00\x0a\x00\x04\x00\x02\x01\x04",
    b"\x00\x33\x00\x06\x00\x04\x01\x00\x00\x00",
    b"\x00\x00",
    b"\xff\xff",
    b"\x40\x00",
)


def make_hello(random: Random) -> bytes:
    """Return a `ClientHello` in one record or several."""
    message = client_hello(random.randbytes(32))
    size = random.choice((len(message), len(message), 100, 30, 7))
    return b"".join(record(HANDSHAKE, message[at : at + size]) for at in range(0, len(message), size))


def read_hello(data: bytes) -> tuple[ClientHello, bool] | None:
    """Return the message, and whether it costs too much."""
    return read_hello_in_pieces((data,))


def read_hello_in_pieces(pieces: Sequence[bytes]) -> tuple[ClientHello, bool] | None:
    """Return the same, looking after each piece."""
    received = bytearray()
    for piece in pieces:
        received += piece
        hello = read_client_hello(received)
        expect(hello, (ClientHello, type(None)))
        if hello is not None:
            return hello, hello.dear
    return None


PARSERS: Final = {
    "client-hello": Parser(
        4, make_hello, TOKENS, read_hello, read_hello_in_pieces, errors=(HelloError,), for_clients=False
    )
}

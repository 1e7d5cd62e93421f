"""PROXY headers, versions 1 and 2."""

from __future__ import annotations

import struct
from random import Random

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

ADDRESSES = ("192.0.2.7", "2001:db8::8", "::ffff:192.0.2.7", "127.0.0.1", "256.0.0.1", "1.2.3", "fe80::1%eth0", "", "x")

TOKENS = (
    SIGNATURE,
    b"PROXY ",
    b"PROXY TCP4 ",
    b"PROXY UNKNOWN\r\n",
    b"TCP6",
    b"\r\n",
    b" ",
    b"\x21\x11\x00\x0c",
    b"\x20\x00\x00\x00",
    b"\xff\xff",
    b"192.0.2.7",
    b"65536",
    b"x" * 107,
    b"x" * 4096,
)


def text_header(random: Random) -> bytes:
    """Return a line of version 1."""
    kind = random.choice(("TCP4", "TCP4", "TCP6", "UNKNOWN", "UDP4", "tcp4", ""))
    source, target = random.choice(ADDRESSES), random.choice(ADDRESSES)
    ports = random.choice(("4711 443", "0 65535", "65536 1", "01 2", "1", "-1 2", "1 2 3"))
    return f"PROXY {kind} {source} {target} {ports}\r\n".encode()


def binary_header(random: Random) -> bytes:
    """Return a header of version 2."""
    command = random.choice((0x21, 0x21, 0x21, 0x20, 0x22, 0x11, 0x00))
    family = random.choice((0x11, 0x11, 0x21, 0x21, 0x31, 0x12, 0x00, 0x41, 0x13))
    body = random.randbytes(random.choice((0, 11, 12, 12, 36, 36, 216, 40)))
    extensions = random.choice((b"", b"", b"\x04\x00\x03abc", b"\x20\xff\xff", random.randbytes(20)))
    length = len(body) + len(extensions) + random.choice((0, 0, 0, 0, 1, -1, 5000))
    return SIGNATURE + struct.pack("!BBH", command, family, max(0, length) & 0xFFFF) + body + extensions


def header(random: Random) -> bytes:
    """Return a PROXY header, perhaps a second one behind it."""
    made = random.choice((text_header, binary_header))(random)
    return made + header(random) if random.random() < 0.1 else made

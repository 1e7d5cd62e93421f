"""What may lie on the bus: envelopes, plain payloads, and the messages of gateways to each other."""

from __future__ import annotations

import struct
from random import Random

MAGIC = b"\xff\x72"
PAYLOADS = (b"", b"hello", "\u20ac".encode(), b"\xff\xfe", b"\xf0\x9f\x98", b"x" * 300, b"\xff\x72", b"{}")
EPOCHS = (b"", b"e", b"epoch", b"\xff", b"e" * 247, b"e" * 248)
PUBLISHERS = (
    b'{"user":"ann","conn_info":{"name":"Ann"},"chan_info":[1]}',
    b'{"user":"","conn_info":"' + b"i" * 231,
    b'"}',
    b'{"user":"u",\n"conn_info":"\xff"}',
    b"[" * 255,
)
TAGS = (b'{"k":"v"}', b'{"k":"' + b"v" * 249, b'"}', b'{"k":1}', b'{"k":"\\ud800"}')

TOKENS = (
    MAGIC,
    b"\xff\x72\x10",
    b"\xff\x72\x18",
    b"\x00\x00",
    b"\x01\x09",
    b"\xff\xff",
    b"\x00\x0b\x01\x09",
    b"\x02\x0c",
    b'{"user":"u"}',
    b"\x03\x09",
    b'{"k":"v"}',
    bytes(16),
)

COMMANDS = (
    b'{"version":1,"order":"disconnect","user":"ann","code":4000,"reason":"x"}',
    b'{"version":1,"order":"unsubscribe","user":"ann","channel":"x"}',
    b'{"version":1,"order":"survey","uid":"0123456789abcdef","number":1,"pattern":"*"}',
    b'{"version":1,"order":"node","uid":"0123456789abcdef"}',
    b'{"version":2,"order":"disconnect"}',
    b'{"order":"nothing"}',
    b"{}",
    b"[]",
    b"null",
    b"\n" * 1000,
    b"[" * 1000,
    b'{"a":' * 500,
    b'{"version":1e999}',
    b'"\\ud800"',
)
COMMAND_TOKENS = (
    b'"version":1',
    b'"order":"disconnect"',
    b'"order":"unsubscribe"',
    b'"user":null',
    b'"user":""',
    b'"channel":"*"',
    b'"code":3500',
    b'"code":999999',
    b'"reason":"' + b"r" * 124 + b'"',
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'"',
    b"\\u0000",
    b"\\ud83d",
    b"\xff",
    b",",
    b"1e400",
    b"-1",
)


def envelope(random: Random) -> bytes:
    """Return a message as it lies on the bus."""
    payload = random.choice(PAYLOADS)
    if random.random() < 0.15:
        return payload
    kind = random.choice((0, 1, 0, 1, 2, 4, 8, 9, 8, 9, 15))
    version = random.choice((1, 1, 1, 1, 1, 0, 2, 15))
    origin = random.choice((bytes(16), b"o" * 16, b"short"))
    extensions = b""
    if kind & 8:
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            positions = (struct.pack(">Q", 7) + random.choice(EPOCHS), b"", b"v", b"v" * 255)
            number, value = random.choice(
                ((1, random.choice(positions)), (2, random.choice(PUBLISHERS)), (3, random.choice(TAGS)), (255, b"v"))
            )
            extensions += bytes([number, min(255, len(value))]) + value
        extensions = struct.pack(">H", len(extensions) + random.choice((0, 0, 0, 1, 300))) + extensions
    return MAGIC + bytes([version << 4 | kind]) + origin + extensions + payload


def command(random: Random) -> bytes:
    """Return a message to all gateways."""
    return random.choice(COMMANDS)

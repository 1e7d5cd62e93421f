"""Opening handshakes and frames (RFC 6455)."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.grammar.http import CHANNELS, HEADERS

KEY = "AAECAwQFBgcICQoLDA0ODw=="
MASKS = (bytes(4), b"\x01\x02\x03\x04", b"\xff\xff\xff\xff")

UPGRADE_HEADERS = (
    "Sec-WebSocket-Protocol: relay",
    "Sec-WebSocket-Protocol: a, b, c",
    "Sec-WebSocket-Protocol: ,,",
    "Sec-WebSocket-Protocol: bearer.abc, relay",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Sec-WebSocket-Extensions: x-unknown; a=1, y",
    "Sec-WebSocket-Version: 8",
    "Sec-WebSocket-Version: 13, 8",
    "Sec-WebSocket-Key: short",
    "Sec-WebSocket-Key: " + KEY,
    "Origin: https://app.example.com",
    "Origin: null",
    "Host: second",
    "Content-Length: 0",
    "Content-Length: 5",
    "Upgrade: h2c",
    "Connection: keep-alive",
)

PAYLOADS = (
    b"",
    b"hello",
    "\u20ac\U0001f600".encode(),
    b"\xff",
    b"\xed\xa0\x80",  # a surrogate
    b"\xf0\x9f\x98",  # cut off in a character
    b"\xf4\x90\x80\x80",  # above U+10FFFF
    b"\xc0\xaf",  # overlong
    b"x" * 125,
    b"x" * 126,
    b"x" * 127,
    b"x" * 1000,
    b"x" * 16_384,
    b"x" * 65_535,
    b"x" * 65_536,
)
OPCODES = (0, 1, 1, 1, 1, 2, 2, 8, 9, 9, 10, 3, 7, 11, 15)
CLOSES = (
    b"",
    b"\x03",
    struct.pack("!H", 1000),
    struct.pack("!H", 1001) + b"going away",
    struct.pack("!H", 1005),
    struct.pack("!H", 1006),
    struct.pack("!H", 1015),
    struct.pack("!H", 2999),
    struct.pack("!H", 3000) + "\u20ac".encode(),
    struct.pack("!H", 4999) + b"\xff",
    struct.pack("!H", 5000),
    struct.pack("!H", 65535),
    struct.pack("!H", 1000) + b"r" * 123,
    struct.pack("!H", 1000) + b"r" * 124,
)

TOKENS = (
    b"\x81\x80\x00\x00\x00\x00",
    b"\x89\x80\x00\x00\x00\x00",
    b"\x8a\x80\x00\x00\x00\x00",
    b"\x88\x80\x00\x00\x00\x00",
    b"\x01\x80\x00\x00\x00\x00",
    b"\x00\x80\x00\x00\x00\x00",
    b"\x80\x80\x00\x00\x00\x00",
    b"\x81\xfe\x00\x05",
    b"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05",
    b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xc1\x80\x00\x00\x00\x00",
    b"\x81\x05hello",
    b"\xf0\x9f",
    b"\x98\x80",
    b"\x00",
    b"\xff",
)


def handshake(random: Random) -> bytes:
    """Return an opening handshake that is valid, or wrong in one of the usual ways."""
    channel = random.choice(CHANNELS)
    query = random.choice(("", "", "", "?echo=1", "?echo=1", "?user=ann", "?echo=2", "?echo", "?a=%FF", "?token=abc"))
    path = random.choice((f"/ws/{channel}",) * 12 + ("/ws", "/", "/ws/", "/wsx", "/sse/x", "/poll/x"))
    lines = [f"GET {path}{query} HTTP/1.1"]
    lines += ["Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13"]
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        lines.append(random.choice(UPGRADE_HEADERS if random.random() < 0.7 else HEADERS))
    if random.random() < 0.1:
        del lines[random.randrange(1, len(lines))]
    if random.random() < 0.1:
        lines[1:] = random.sample(lines[1:], len(lines) - 1)
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def valid_handshake(random: Random) -> bytes:
    """Return an opening handshake that the gateway accepts."""
    query = random.choice(("", "?echo=1"))
    return (
        f"GET /ws/{random.choice(CHANNELS)}{query} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bytes | None = MASKS[0], reserved: int = 0) -> bytes:
    """Return a frame; without a mask it is one that a server must refuse."""
    size, masked = len(payload), 0 if mask is None else 0x80
    head = bytes([fin << 7 | reserved << 4 | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += bytes([masked | 126]) + struct.pack("!H", size)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", size)
    if mask is None:
        return head + payload
    if mask == bytes(4):
        return head + mask + payload
    repeated = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")


def any_frame(random: Random) -> bytes:
    """Return a frame that is valid by itself, or wrong in one way."""
    opcode = random.choice(OPCODES)
    payload = random.choice(CLOSES if opcode == 8 else PAYLOADS[: random.choice((9, 12, 12, 15))])
    if opcode in (9, 10) and random.random() < 0.9:
        payload = payload[:125]
    odd = random.random()
    return frame(
        opcode,
        payload,
        fin=random.random() < 0.8,
        mask=None if odd < 0.02 else random.choice(MASKS),
        reserved=random.randrange(1, 8) if odd > 0.98 else 0,
    )


def fragments(random: Random) -> bytes:
    """Return one message in fragments, perhaps with control frames between them."""
    payload = random.choice(PAYLOADS[:13])
    first, frames = random.choice((1, 1, 2)), []
    for _ in range(random.choice((1, 2, 3, 10))):
        size = random.randrange(len(payload) + 1)
        frames.append(frame(first, payload[:size], fin=False, mask=random.choice(MASKS)))
        payload, first = payload[size:], 0
        if random.random() < 0.3:
            frames.append(frame(random.choice((8, 9, 9, 10)), b"", mask=random.choice(MASKS)))
    return b"".join([*frames, frame(0, payload, mask=random.choice(MASKS))])


def frames(random: Random) -> bytes:
    """Return the frames of one connection."""
    count = random.choice((1, 1, 2, 2, 3, 5, 10, 40))
    made = [fragments(random) if random.random() < 0.2 else any_frame(random) for _ in range(count)]
    if random.random() < 0.05:
        made.append(frame(random.choice((1, 9, 10, 0)), b"") * random.choice((150, 300, 600)))
    if random.random() < 0.5:
        made.append(frame(8, random.choice(CLOSES)))
    return b"".join(made)

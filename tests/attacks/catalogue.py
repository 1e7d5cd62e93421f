"""The attacks: what one hostile client does, and how many do it at a time."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.attacks.attacker import Visit, Wire
from tests.attacks.verdict import Least
from tests.fuzz.grammar.credential import HEADERS, SECRET, sign
from tests.fuzz.grammar.websocket import frame
from tests.harness.gateway_process import Setting

MESSAGES_OF_COMMANDS_PER_SECOND: Final = 2
"""What one client sends that puts many commands into each."""

BYTES_PER_SECOND: Final = 10_000
"""What one client of a flood of small frames sends."""

PIECES_PER_SECOND: Final = 10

SLOW_BYTES_PER_SECOND: Final = 5
"""Of a request's head that never ends."""

UNREAD_SECONDS: Final = 10
"""How long a client stays that reads nothing."""

UNREAD_MESSAGES: Final = 100
"""What one of twenty such clients publishes meanwhile."""

EMPTY_MASK: Final = bytes(4)


async def shake_hands(port: int) -> None:
    """Complete a handshake, and go."""
    async with Wire(port) as wire:
        await wire.upgrade(f"/ws/flood-{random.randrange(50)}")


async def subscribe_to_something_new(port: int) -> None:
    """Subscribe to a channel that nobody has, and go: the bus hears of each."""
    async with Wire(port) as wire:
        await wire.upgrade(f"/ws/churn-{os.urandom(8).hex()}")


async def say_nothing(port: int) -> None:
    """Connect, and wait for the end."""
    async with Wire(port) as wire:
        await wire.swallow()


async def send_a_head_slowly(port: int) -> None:
    """Send a byte of a head now and then."""
    async with Wire(port) as wire:
        for byte in b"GET /ws/slow HTTP/1.1\r\nX-Slow: " + b"z" * 10_000:
            await wire.send(bytes([byte]))
            await asyncio.sleep(1 / SLOW_BYTES_PER_SECOND)


async def _flood(port: int, first: bytes, repeated: bytes, last: bytes) -> None:
    chunk = first + repeated * (BYTES_PER_SECOND // PIECES_PER_SECOND // len(repeated)) + last
    async with Wire(port) as wire:
        await wire.upgrade("/ws/flood")
        reading = asyncio.ensure_future(wire.swallow())
        try:
            while not reading.done():
                await wire.send(chunk)
                await asyncio.sleep(1 / PIECES_PER_SECOND)
        finally:
            reading.cancel()


async def flood_with_pings(port: int) -> None:
    """Send the smallest pings."""
    await _flood(port, b"", b"\x89\x80" + EMPTY_MASK, b"")


async def flood_with_fragments(port: int) -> None:
    """Send messages in fragments of one byte."""
    await _flood(port, b"\x01\x80" + EMPTY_MASK, b"\x00\x81" + EMPTY_MASK + b"x", b"\x80\x80" + EMPTY_MASK)


async def flood_with_empty_messages(port: int) -> None:
    """Send the smallest messages."""
    await _flood(port, b"", b"\x81\x80" + EMPTY_MASK, b"")


async def publish_at_full_speed(port: int) -> None:
    """Send messages as fast as the socket takes them, to a channel that all others of the attack read."""
    chunk = frame(1, b"x" * 128) * 100
    async with Wire(port) as wire:
        await wire.upgrade("/ws/firehose")
        reading = asyncio.ensure_future(wire.swallow())
        try:
            while not reading.done():
                await wire.send(chunk)
        finally:
            reading.cancel()


async def send_giant_frames(port: int) -> None:
    """Announce a terabyte; or send the largest message but for its last byte, and keep it."""
    async with Wire(port) as wire:
        await wire.upgrade("/ws/giant")
        if random.random() < 0.5:
            await wire.send(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + EMPTY_MASK + bytes(65_536))
        else:
            await wire.send(frame(2, bytes(65_536))[:-1])
        async with asyncio.timeout(2):
            await wire.swallow()


async def read_nothing(port: int) -> None:
    """Subscribe and read nothing; one of twenty publishes much instead."""
    async with Wire(port, receive_buffer=4096) as wire:
        await wire.upgrade("/ws/unread")
        if random.random() >= 0.05:
            await asyncio.sleep(UNREAD_SECONDS)
            return
        for _ in range(UNREAD_MESSAGES):
            await wire.send(frame(2, bytes(16_384)))
            await asyncio.sleep(UNREAD_SECONDS / UNREAD_MESSAGES)


async def begin_polls(port: int) -> None:
    """Begin one subscription after the other, and never ask again."""
    async with Wire(port) as wire:
        for number in range(20):
            await wire.ask(f"GET /poll/flood-{number}?wait=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode(), 200)


async def post(port: int) -> None:
    """Publish the largest messages, one after the other."""
    head = b"POST /publish/flood HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 65536\r\n\r\n"
    async with Wire(port) as wire:
        for _ in range(20):
            await wire.ask(head + bytes(65_536), 200)


async def post_small_chunks(port: int) -> None:
    """Publish a message in chunks of one byte."""
    head = b"POST /publish/flood HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with Wire(port) as wire:
        await wire.ask(head + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n", 200)


async def send_nonsense(port: int) -> None:
    """Send what is no request, and read what comes of it."""
    nonsense = (
        os.urandom(1000),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"POST /publish/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 20_000,
        b"\x16\x03\x01\x02\x00\x01" + os.urandom(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    )
    async with Wire(port) as wire:
        await wire.ask(random.choice(nonsense))


async def send_garbage_behind_a_request(port: int) -> None:
    """Ask for something that takes a while, and send ten megabytes meanwhile."""
    async with Wire(port) as wire:
        await wire.send(b"GET /poll/garbage?wait=25 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(2):
            for _ in range(160):
                await wire.send(bytes(65_536))


async def open_event_streams(port: int) -> None:
    """Open an event stream, and go."""
    async with Wire(port) as wire:
        await wire.ask(b"GET /sse/flood HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200)


async def try_tokens(port: int) -> None:
    """Ask for a WebSocket with a token that is wrong, of 6 KB now and then."""
    claims = b'{"sub":"eve","exp":4102444800,"channels":{"*":"rw"},"x":"' + b"y" * random.choice((0, 0, 4000)) + b'"}'
    token = sign(random.choice(HEADERS), claims, secret=random.choice((b"guess", SECRET[::-1])))
    async with Wire(port) as wire:
        await wire.upgrade(f"/ws/flood?token={token}", 401)


async def _converse(port: int, said: Sequence[dict[str, Any]]) -> None:
    """Say the same again and again as a client of the Centrifuge protocol, and read the answers."""
    message = frame(1, b"\n".join(json.dumps(command, separators=(",", ":")).encode() for command in said))
    async with Wire(port) as wire:
        await wire.upgrade("/connection/websocket")
        await wire.send(frame(1, b'{"id":1,"connect":{}}'))
        reading = asyncio.ensure_future(wire.swallow())
        try:
            while not reading.done():
                await wire.send(message)
                await asyncio.sleep(1 / MESSAGES_OF_COMMANDS_PER_SECOND)
        finally:
            reading.cancel()


async def send_many_commands(port: int) -> None:
    """Put as many commands into a message as it takes."""
    await _converse(port, [{"id": 1, "presence": {"channel": "p"}}] * 1500)


async def flap(port: int) -> None:
    """Subscribe to channels that nobody has, and leave them."""
    channel = {"channel": f"flap-{os.urandom(8).hex()}"}
    await _converse(port, [{"id": 1, "subscribe": channel}, {"id": 1, "unsubscribe": channel}] * 400)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Args:
        visit: what one client does.
        clients: how many there are at a time.
        least: what all of them have to do, or it was no attack; at most a tenth of what they do on two busy processors.
        pause: seconds before a client comes again.
        redis: whether the gateway has Redis as its bus.
        settings: of the gateway.
    """

    visit: Visit
    clients: int
    least: Least
    pause: float = 0.0
    redis: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)


TOKENS: Final[Mapping[str, Setting]] = {"auth": "jwt", "jwt_secret": SECRET.decode()}

ATTACKS: Final = {
    "handshakes": Attack(shake_hands, 8, Least(100)),
    "subscriber churn": Attack(subscribe_to_something_new, 8, Least(100), redis=True),
    "silent sockets": Attack(say_nothing, 500, Least(20), pause=0.5),
    "slow heads": Attack(send_a_head_slowly, 300, Least(10, bytes=100), pause=0.5),
    "pings": Attack(flood_with_pings, 80, Least(3, bytes=40_000), pause=0.5),
    "tiny fragments": Attack(flood_with_fragments, 80, Least(3, bytes=40_000), pause=0.5),
    "empty messages": Attack(flood_with_empty_messages, 80, Least(3, bytes=40_000), pause=0.5),
    "full-speed publishers": Attack(publish_at_full_speed, 8, Least(0.5, bytes=2_000_000), pause=0.5, redis=True),
    "giant frames": Attack(send_giant_frames, 40, Least(5, bytes=200_000), pause=0.2),
    "unread": Attack(read_nothing, 40, Least(1, bytes=5_000), pause=0.5),
    "polls": Attack(begin_polls, 8, Least(5, bytes=5_000)),
    "posts": Attack(post, 8, Least(5, bytes=5_000_000), redis=True),
    "small chunks": Attack(post_small_chunks, 8, Least(3, bytes=200_000), pause=0.1),
    "malformed requests": Attack(send_nonsense, 8, Least(200, bytes=500_000)),
    "garbage behind requests": Attack(send_garbage_behind_a_request, 20, Least(1, bytes=500_000), pause=0.2),
    "event streams": Attack(open_event_streams, 8, Least(100)),
    "many commands": Attack(send_many_commands, 20, Least(0.2, bytes=100_000), pause=0.5),
    "flapping": Attack(flap, 20, Least(0.2, bytes=100_000), pause=0.5, redis=True),
    "wrong tokens": Attack(try_tokens, 8, Least(100), settings=TOKENS),
}

CORE: Final = (
    *("handshakes", "pings", "tiny fragments", "empty messages", "unread", "posts", "malformed requests"),
    "many commands",
)
"""What `.ci/run` takes: each kind of work that a stranger can make."""

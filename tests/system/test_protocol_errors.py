"""A client that breaks the protocol is told so, and nobody else notices."""

from __future__ import annotations

import asyncio
import struct
import zlib

import pytest

from tests.conftest import GatewayFactory
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import GatewayProcess
from tests.harness.http_response import get
from tests.harness.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawWebSocket,
    close_of,
    encode_frame,
)
from tests.harness.websocket_client import connected

LIMIT = 65536


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (1002, encode_frame(TEXT, b"unmasked", masked=False)),
        (1002, encode_frame(BINARY, b"", masked=False)),
        (1002, encode_frame(PING, b"unmasked", masked=False)),
        (1002, encode_frame(PONG, b"unmasked", masked=False)),
        (1002, encode_frame(CLOSE, struct.pack("!H", 1000), masked=False)),
        (1002, encode_frame(TEXT, b"a", fin=False, masked=False)),
        (1002, encode_frame(TEXT, b"a", fin=False) + encode_frame(CONTINUATION, b"unmasked", masked=False)),
        (1002, b"\x82\x7f" + struct.pack("!Q", 2**40)),
        (1002, encode_frame(TEXT, b"x", reserved=4)),
        (1002, encode_frame(TEXT, b"x", reserved=1)),
        (1002, encode_frame(3, b"x")),
        (1002, encode_frame(11, b"x")),
        (1002, encode_frame(PING, b"x" * 126)),
        (1002, encode_frame(PING, b"x", fin=False)),
        (1002, encode_frame(PING, b"x", reserved=2)),
        (1002, encode_frame(CLOSE, struct.pack("!H", 1000), fin=False)),
        (1002, encode_frame(CLOSE, struct.pack("!H", 1000), reserved=4)),
        (1002, encode_frame(CLOSE, struct.pack("!H", 1000) + b"x" * 124)),
        (1002, encode_frame(CONTINUATION, b"of nothing")),
        (1002, encode_frame(TEXT, b"a", fin=False) + encode_frame(TEXT, b"b")),
        (1002, encode_frame(CLOSE, b"\x03")),
        (1007, encode_frame(CLOSE, struct.pack("!H", 1000) + b"\xc3")),
        (1007, encode_frame(TEXT, b"\xff")),
        (1007, encode_frame(TEXT, b"\xed\xa0\x80")),
        (1007, encode_frame(TEXT, b"a", fin=False) + encode_frame(CONTINUATION, b"\xc3")),
        (1007, encode_frame(TEXT, b"\xff and more to come")[:-5]),
        (1007, encode_frame(TEXT, b"\xed\xa0\x80", fin=False)),
        (1008, encode_frame(PING) * 5000),
        (1008, encode_frame(PONG, b"unasked") * 5000),
        (1008, encode_frame(TEXT, b"a", fin=False) + encode_frame(PING) * 5000),
        (1009, encode_frame(BINARY, bytes(LIMIT + 1))),
        (1009, encode_frame(TEXT, b"x" * LIMIT, fin=False) + encode_frame(CONTINUATION, b"x")),
        (1009, b"\x82\xff" + struct.pack("!Q", 2**40) + bytes(4)),
        (1009, b"\x01\xff" + struct.pack("!Q", 2**63 - 1) + bytes(4)),
        (1009, b"\x82\xff" + struct.pack("!Q", 2**63 + 1) + bytes(4) + b"x"),
        (1009, b"\x89\xff" + struct.pack("!Q", 2**40) + bytes(4)),
    ],
    # Not the bytes: their masks are random, and workers must find the same tests.
    ids=lambda value: str(value) if isinstance(value, int) else "frame",
)
async def test_a_bad_frame_closes_its_sender_alone(
    cluster: list[GatewayProcess], channel: str, code: int, data: bytes
) -> None:
    urls = [f"{gateway.url}/ws/{channel}" for gateway in cluster[:2]]
    async with connected(*urls) as (neighbour, other), RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        await raw.send_frame(TEXT, b"before")
        await raw.send(data)
        assert (await raw.close_frame())[0] == code
        await raw.end()
        await neighbour.send("after")
        assert await other.receive(2) == ["before", "after"]
        assert await neighbour.receive(1) == ["before"]


async def test_a_clean_close_is_answered_with_its_code(cluster: list[GatewayProcess], channel: str) -> None:
    async with RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        await raw.send_frame(CLOSE, struct.pack("!H", 4321) + b"enough")
        assert close_of(await raw.frame())[0] == 4321
        await raw.end()


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_close_codes_are_those_that_may_be_sent(gateways: GatewayFactory, event_loop: str) -> None:
    """RFC 6455, section 7.4, and the registry of its codes: an endpoint may send these, and no others."""
    (gateway,) = await gateways(1, event_loop=event_loop)
    legal = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    edges = {edge for code in legal for edge in (code - 1, code, code + 1) if not 3000 < edge < 4998}
    for code in sorted(edges | {0, 1, 2000, 3999, 4000, 65535}):
        async with RawWebSocket(gateway.port) as raw:
            await raw.upgrade("/ws/a")
            await raw.send_frame(CLOSE, struct.pack("!H", code) + b"enough")
            answered, _ = await raw.close_frame()
            await raw.end()
        assert answered == (code if code in legal else 1002), code


async def test_a_close_may_come_without_a_code(cluster: list[GatewayProcess], channel: str) -> None:
    async with RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        await raw.send_frame(CLOSE)
        assert await raw.frame() == Frame(CLOSE, b"")
        await raw.end()


async def test_an_extension_that_was_not_accepted_is_not_spoken(cluster: list[GatewayProcess], channel: str) -> None:
    """RFC 6455, section 5.2: a compressed message, from a client that takes its offer for the answer."""
    async with RawWebSocket(cluster[0].port) as raw:
        response = await raw.upgrade(f"/ws/{channel}", "Sec-WebSocket-Extensions: permessage-deflate")
        assert (response.status, "sec-websocket-extensions" in response.headers) == (101, False)
        await raw.send(encode_frame(TEXT, zlib.compress(b"hello", wbits=-15), reserved=4))
        assert (await raw.close_frame())[0] == 1002
        await raw.end()


async def test_a_close_in_the_middle_of_a_message_is_clean(cluster: list[GatewayProcess], channel: str) -> None:
    async with RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        await raw.send(encode_frame(TEXT, b"a", fin=False) + encode_frame(CLOSE, struct.pack("!H", 1000)))
        assert (await raw.close_frame())[0] == 1000
        await raw.end()


async def test_everything_that_was_sent_before_a_close_is_delivered(
    cluster: list[GatewayProcess], channel: str
) -> None:
    async with connected(f"{cluster[1].url}/ws/{channel}") as (receiver,), RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        messages = b"".join(encode_frame(TEXT, b"%d" % number) for number in range(500))
        await raw.send(messages + encode_frame(CLOSE, struct.pack("!H", 1000)) + encode_frame(TEXT, b"too late"))
        assert await receiver.receive(500) == [str(number) for number in range(500)]
        assert (await raw.close_frame())[0] == 1000


async def test_a_message_of_the_largest_size_passes(cluster: list[GatewayProcess], channel: str) -> None:
    async with connected(f"{cluster[0].url}/ws/{channel}", f"{cluster[1].url}/ws/{channel}") as (one, two):
        await one.send(bytes(LIMIT))
        assert await two.receive(1) == [bytes(LIMIT)]
        await one.send_fragments(*[bytes(LIMIT // 16)] * 16)
        assert await two.receive(2) == [bytes(LIMIT)] * 2


async def test_endless_empty_fragments_are_cut_off(cluster: list[GatewayProcess], channel: str) -> None:
    async with RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        await raw.send_frame(TEXT, b"", fin=False)
        flood = asyncio.create_task(raw.send(encode_frame(CONTINUATION, b"", fin=False) * 20000))
        assert (await raw.close_frame())[0] == 1009
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


async def test_a_flood_of_pings_costs_no_memory(cluster: list[GatewayProcess], channel: str) -> None:
    """Nobody reads the pongs."""
    gateway = cluster[0]
    before = gateway.rss_bytes
    async with RawWebSocket(gateway.port, receive_buffer=4096) as raw:
        await raw.upgrade(f"/ws/{channel}")
        flood = asyncio.create_task(raw.send(encode_frame(PING, b"x" * 100) * 100_000))
        done, _ = await asyncio.wait({flood}, timeout=10)
        if done:
            assert isinstance(flood.exception(), ConnectionError | None)
        assert (await get(gateway.port, "/healthz")).status == 200
        assert gateway.rss_bytes - before < 20_000_000
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)

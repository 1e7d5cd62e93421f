"""Bytes in are bytes out: every value, every length form of a frame, whole or in fragments."""

from __future__ import annotations

import random

import pytest

from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import GatewayProcess
from tests.harness.raw_websocket import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, RawWebSocket
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

# Around the limits of the three length forms, of socket buffers, and the largest message allowed.
SIZES = [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 1023, 4096, 16383, 16384, 32768, 65534, 65535, 65536]

# Bytes that TLS could change, too: both ways in, and both event loops.
pytestmark = pytest.mark.parametrize("cluster", [*EVENT_LOOPS, "asyncio TLS"], indirect=True)


async def test_every_byte_value_passes_alone_and_together(cluster: list[GatewayProcess], channel: str) -> None:
    messages = [bytes([value]) for value in range(256)]
    messages += [bytes(range(256)), bytes(range(255, -1, -1)), b"\xff\x72\x10" + bytes(16), b"\xffr", b"\r\n", b"\x00"]
    async with connected(f"{cluster[0].url}/ws/{channel}", f"{cluster[1].url}/ws/{channel}") as (one, two):
        for message in messages:
            await one.send(message)
        assert await two.receive(len(messages)) == messages


async def test_every_size_passes_as_binary_and_as_text(cluster: list[GatewayProcess], channel: str) -> None:
    source = random.Random(1)
    messages: list[str | bytes] = [source.randbytes(size) for size in SIZES]
    messages += ["".join(source.choices("abc \n\0", k=size)) for size in SIZES]
    async with connected(f"{cluster[0].url}/ws/{channel}", f"{cluster[2].url}/ws/{channel}") as (one, two):
        for message in messages:
            await one.send(message)
        assert await two.receive(len(messages)) == messages


async def test_text_of_many_scripts_passes(cluster: list[GatewayProcess], channel: str) -> None:
    messages = ["\x00", "é", "\u07ff\u0800", "\ud7ff\ue000", "\uffff", "🎈" * 1000, "\U0010ffff", "a\u0301"]
    async with connected(f"{cluster[0].url}/ws/{channel}", f"{cluster[1].url}/ws/{channel}") as (one, two):
        for message in messages:
            await one.send(message)
        assert await two.receive(len(messages)) == messages


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
async def test_frames_go_out_whole_and_in_the_shortest_form(
    cluster: list[GatewayProcess], channel: str, size: int
) -> None:
    payload = random.Random(size).randbytes(size)
    async with connected(f"{cluster[0].url}/ws/{channel}") as (sender,), RawWebSocket(cluster[1].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        await sender.send(payload)
        assert await raw.frame() == Frame(BINARY, payload, fin=True)


@pytest.mark.parametrize("width", [2, 8])
@pytest.mark.parametrize("size", [0, 125, 200])
async def test_a_length_may_take_more_bytes_than_it_needs(
    cluster: list[GatewayProcess], channel: str, size: int, width: int
) -> None:
    """RFC 6455, section 5.2, forbids it to the sender; nothing is ambiguous about it, and it is not handed on."""
    payload = random.Random(size).randbytes(size)
    head = b"\x82" + bytes([0x80 | {2: 126, 8: 127}[width]]) + size.to_bytes(width, "big") + bytes(4)
    async with RawWebSocket(cluster[0].port) as sender, RawWebSocket(cluster[1].port) as raw:
        await sender.upgrade(f"/ws/{channel}")
        await raw.upgrade(f"/ws/{channel}")
        await sender.send(head + payload)
        await sender.send(head)
        await sender.send(payload)
        for _ in range(2):
            assert await raw.frame() == Frame(BINARY, payload, fin=True)


async def test_fragments_arrive_as_one_message(cluster: list[GatewayProcess], channel: str) -> None:
    async with connected(f"{cluster[0].url}/ws/{channel}", f"{cluster[1].url}/ws/{channel}") as (one, two):
        await one.send_fragments("gr", "", "üß", "e")
        await one.send_fragments(b"\x00\x01", b"\xff" * 40000, b"")
        await one.send_fragments("", "")
        await one.send_fragments(*"many little fragments" * 20)
        expected = ["grüße", b"\x00\x01" + b"\xff" * 40000, "", "many little fragments" * 20]
        assert await two.receive(4) == expected


async def test_a_character_may_be_cut_by_a_fragment_and_a_ping_may_come_between(
    cluster: list[GatewayProcess], channel: str
) -> None:
    balloon = "🎈".encode()
    async with connected(f"{cluster[1].url}/ws/{channel}") as (receiver,), RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        await raw.send_frame(TEXT, balloon[:1], fin=False)
        await raw.send_frame(CONTINUATION, balloon[1:3], fin=False)
        await raw.send_frame(PING, b"between")
        assert await raw.frame() == Frame(PONG, b"between")
        await raw.send_frame(CONTINUATION, balloon[3:])
        assert await receiver.receive(1) == ["🎈"]


async def test_a_message_may_come_byte_by_byte(cluster: list[GatewayProcess], channel: str) -> None:
    from tests.harness.raw_websocket import encode_frame

    async with connected(f"{cluster[1].url}/ws/{channel}") as (receiver,), RawWebSocket(cluster[0].port) as raw:
        await raw.upgrade(f"/ws/{channel}")
        for value in encode_frame(BINARY, b"slowly") + encode_frame(TEXT, b"x" * 200):
            await raw.send(bytes([value]))
        assert await receiver.receive(2) == [b"slowly", "x" * 200]


async def test_payloads_from_redis_pass_untouched(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    """A plain payload is text when it is UTF-8, and binary otherwise."""
    payloads = [b"", b"text", "grüße".encode(), b"\xc3", b"\xff", b"\xffx", bytes(range(256)), b"x" * 65536]
    async with connected(f"{cluster[0].url}/ws/{channel}") as (client,):
        for payload in payloads:
            redis_server.admin.publish(f"relay:{channel}", payload)
        received = await client.receive(len(payloads))
        assert [as_bytes(message) for message in received] == payloads
        assert [type(message) for message in received] == [str, str, str, bytes, bytes, bytes, bytes, str]


def as_bytes(message: str | bytes) -> bytes:
    """Return a message's bytes on the wire."""
    return message.encode() if isinstance(message, str) else message


async def test_a_large_burst_arrives_whole(cluster: list[GatewayProcess], channel: str) -> None:
    message = bytes(range(256)) * 256
    urls = [f"{gateway.url}/ws/{channel}" for gateway in cluster]
    async with connected(*urls) as (sender, *others):
        for count in range(10, 101, 10):  # no more at once than may wait for a client
            for _ in range(10):
                await sender.send(message)
            for client in others:
                assert all(received == message for received in await got_all(client, count))


async def got_all(client: WebSocketClient, count: int) -> list[str | bytes]:
    """Return the messages of a client once they are exactly so many."""
    received = await client.receive(count, within=20)
    assert len(received) == count
    return received

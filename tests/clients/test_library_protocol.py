"""The library's protocol is made when a client needs it, and not before."""

from __future__ import annotations

import gc

import pytest
from websockets.server import ServerProtocol

from relay.clients.context import Context
from relay.clients.library_protocol import LibraryProtocol
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.live_objects import live_objects
from tests.harness.raw_websocket import CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket


@pytest.fixture
async def context(embedded: EmbeddedFactory) -> Context:
    """What the clients of a gateway share."""
    (gateway,) = await embedded(1, max_message_bytes=5000)
    return parts_of(gateway).context


def protocols() -> int:
    """Return how many protocols of the library there are."""
    return live_objects(ServerProtocol)


async def test_it_is_open_before_it_is_made(context: Context) -> None:
    held = LibraryProtocol(context)
    before = protocols()
    assert (held.open, held.eof_sent, held.close_code) == (True, False, 1006)
    held.end()
    assert protocols() == before


async def test_it_is_made_once_with_the_limit_of_the_gateway(context: Context) -> None:
    held = LibraryProtocol(context)
    assert held.ws is held.ws
    assert held.ws.max_message_size == 5000


async def test_it_tells_how_the_connection_is_closing(context: Context) -> None:
    held = LibraryProtocol(context)
    held.ws.send_close(4000, "bye")
    assert (held.open, held.eof_sent, held.close_code) == (False, False, 4000)
    held.ws.fail(1002)
    assert held.eof_sent


@pytest.mark.parametrize("opcode", [TEXT, PING, PONG])
async def test_a_client_that_sends_whole_frames_needs_none(embedded: EmbeddedFactory, opcode: int) -> None:
    (gateway,) = await embedded(1)
    gc.collect()
    before = protocols()
    async with RawWebSocket(gateway.port) as client:
        await client.upgrade("/ws/c?echo=1")
        await client.send_frame(opcode, b"x")
        await client.send_frame(TEXT, b"echo")
        while (await client.frame()).payload != b"echo":
            pass
        assert protocols() == before
    await wait_until(lambda: gateway.counters.connections_closed == {1006: 1})
    assert protocols() == before


@pytest.mark.parametrize("opcode", [CLOSE, TEXT])
async def test_a_client_that_closes_or_sends_fragments_needs_one(embedded: EmbeddedFactory, opcode: int) -> None:
    (gateway,) = await embedded(1)
    gc.collect()
    before = protocols()
    async with RawWebSocket(gateway.port) as client:
        await client.upgrade("/ws/c?echo=1")
        await client.send_frame(opcode, b"", fin=opcode == CLOSE)
        if opcode == TEXT:
            await client.send_frame(CONTINUATION, b"whole")
        assert (await client.frame()).opcode == opcode
        assert protocols() == before + 1

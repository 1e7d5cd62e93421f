"""The opening handshake of a client: it hands over to its client, or says why it failed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.loadtest.generator.frame_codec import MAX_HEAD_BYTES, WireError
from relay.loadtest.generator.virtual_client import Opening
from tests.harness.raw_websocket import TEXT, encode_frame
from tests.loadtest.generator.client_fixture import Scene, message

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def opening(scene: Scene) -> Opening:
    """Return a client's opening handshake whose request is sent."""
    scene.client.subscribed = asyncio.get_running_loop().create_future()
    handshake = Opening(scene.client, b"request", KEY)
    handshake.connection_made(scene.line)
    assert scene.line.data == b"request"
    scene.line.data.clear()
    return handshake


async def test_an_opening_in_pieces_hands_over_with_what_came_behind_it() -> None:
    scene = Scene()
    handshake = opening(scene)
    data = ANSWER + encode_frame(TEXT, message(0), masked=False)
    for end in range(len(ANSWER) - 1):
        handshake.data_received(data[end : end + 1])
    assert scene.line.protocol is None
    handshake.data_received(data[len(ANSWER) - 1 :])
    assert scene.line.protocol is scene.client
    assert scene.receiver.expected[0] == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP 503"),
        (b"x" * (MAX_HEAD_BYTES + 1), "endless answer to the handshake"),
        (ANSWER.replace(b"K+", b"k+"), "wrong Sec-WebSocket-Accept"),
    ],
)
async def test_another_answer_is_a_refusal(data: bytes, reason: str) -> None:
    scene = Scene()
    handshake = opening(scene)
    handshake.data_received(data)
    handshake.connection_lost(None)
    assert scene.line.aborted
    assert scene.client.subscribed is not None
    with pytest.raises(WireError, match=reason):
        await scene.client.subscribed


@pytest.mark.parametrize(
    ("error", "kind"), [(None, WireError), (ConnectionResetError(104, "reset"), ConnectionResetError)]
)
async def test_an_end_in_the_handshake_is_a_refusal(error: Exception | None, kind: Any) -> None:
    scene = Scene()
    handshake = opening(scene)
    handshake.connection_lost(error)
    assert scene.client.subscribed is not None
    with pytest.raises(kind):
        await scene.client.subscribed


async def test_a_handshake_can_be_given_up() -> None:
    scene = Scene()
    Opening(scene.client, b"request", KEY).abandon()
    opening(scene).abandon()
    assert scene.line.aborted
    assert scene.client.subscribed is not None
    scene.client.subscribed.cancel()

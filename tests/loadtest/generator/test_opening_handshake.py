"""The opening handshake of a client: it hands over to its client, or says why it failed."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Any

import pytest

from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.opening_handshake import (
    MAX_HEAD_BYTES,
    OpeningHandshake,
    check_response,
    new_key,
    opening_request,
)
from tests.harness.raw_websocket import TEXT, encode_frame
from tests.loadtest.generator.client_fixture import ClientFixture, message

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of section 1.3."""

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def opening(fixture: ClientFixture) -> OpeningHandshake:
    """Return a client's opening handshake whose request is sent."""
    fixture.client.subscribed = asyncio.get_running_loop().create_future()
    handshake = OpeningHandshake(fixture.client, b"request", KEY)
    handshake.connection_made(fixture.transport)
    assert fixture.transport.data == b"request"
    fixture.transport.data.clear()
    return handshake


async def test_an_opening_in_pieces_hands_over_with_what_came_behind_it() -> None:
    fixture = ClientFixture()
    handshake = opening(fixture)
    data = ANSWER + encode_frame(TEXT, message(0), masked=False)
    for end in range(len(ANSWER) - 1):
        handshake.data_received(data[end : end + 1])
    assert fixture.transport.protocol is None
    handshake.data_received(data[len(ANSWER) - 1 :])
    assert fixture.transport.protocol is fixture.client
    assert fixture.receiver.expected[0] == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP 503"),
        (b"x" * (MAX_HEAD_BYTES + 1), "endless answer to the handshake"),
        (ANSWER.replace(b"K+", b"k+"), "wrong Sec-WebSocket-Accept"),
    ],
)
async def test_another_answer_is_a_refusal(data: bytes, reason: str) -> None:
    fixture = ClientFixture()
    handshake = opening(fixture)
    handshake.data_received(data)
    handshake.connection_lost(None)
    assert fixture.transport.aborted
    assert fixture.client.subscribed is not None
    with pytest.raises(RemoteProtocolError, match=reason):
        await fixture.client.subscribed


@pytest.mark.parametrize(
    ("error", "kind"), [(None, RemoteProtocolError), (ConnectionResetError(104, "reset"), ConnectionResetError)]
)
async def test_an_end_in_the_handshake_is_a_refusal(error: Exception | None, kind: Any) -> None:
    fixture = ClientFixture()
    handshake = opening(fixture)
    handshake.connection_lost(error)
    assert fixture.client.subscribed is not None
    with pytest.raises(kind):
        await fixture.client.subscribed


async def test_a_handshake_can_be_given_up() -> None:
    fixture = ClientFixture()
    OpeningHandshake(fixture.client, b"request", KEY).abandon()
    opening(fixture).abandon()
    assert fixture.transport.aborted
    assert fixture.client.subscribed is not None
    fixture.client.subscribed.cancel()


def test_keys_are_16_random_bytes() -> None:
    assert {len(b64decode(new_key(), validate=True)) for _ in range(20)} == {16}
    assert new_key() != new_key()


def test_an_opening_request_is_complete() -> None:
    request = opening_request(
        "/ws/lobby?a=b", "127.0.0.1:8000", KEY, [("Authorization", "Bearer x"), ("Origin", "http://o")]
    )
    assert request == (
        b"GET /ws/lobby?a=b HTTP/1.1\r\n"
        b"Host: 127.0.0.1:8000\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Authorization: Bearer x\r\n"
        b"Origin: http://o\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    "accept",
    [
        b"Sec-WebSocket-Accept: " + ACCEPT,
        b"sec-websocket-accept:" + ACCEPT + b"  ",
        b"X: y\r\nSEC-WEBSOCKET-ACCEPT: " + ACCEPT,
    ],
)
def test_the_answer_of_the_standard_is_taken(accept: bytes) -> None:
    check_response(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" + accept, KEY)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nX: y", "HTTP 503"),
        (b"HTTP/1.1 404", "HTTP 404"),
        (b"HTTP/1.1 " + b"5" * 10_000 + b" endless", "HTTP 555"),
        (b"HTTP/1.0 200 OK", "HTTP 200"),
        (b"SSH-2.0-OpenSSH_9.2", "not an HTTP answer"),
        (b"", "not an HTTP answer"),
        (b"HTTP/1.1", "not an HTTP answer"),
        (b"HTTP/1.1 101 Switching Protocols", "wrong Sec-WebSocket-Accept"),
        (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + ACCEPT.lower(), "wrong Sec-WebSocket-Accept"),
    ],
)
def test_another_response_is_refused_with_its_status(head: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_response(head, KEY)
    assert str(caught.value) == reason

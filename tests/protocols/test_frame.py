"""Outgoing data frames, judged by the library's own parser."""

from __future__ import annotations

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from relay.message import Kind, Message
from relay.protocols.frame import encode_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
@pytest.mark.parametrize("kind", Kind)
def test_a_frame_is_read_back_as_the_message(kind: Kind, size: int) -> None:
    payload = (bytes(range(128)) * (size // 128 + 1))[:size]
    client = ClientProtocol(parse_uri("ws://test/"), state=State.OPEN)
    client.receive_data(encode_frame(Message("lobby", payload, kind)))
    (frame,) = client.events_received()
    assert isinstance(frame, Frame)
    assert frame.opcode is (Opcode.TEXT if kind is Kind.TEXT else Opcode.BINARY)
    assert frame.fin
    assert bytes(frame.data) == payload

"""How messages are written on the bus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.brokers.envelope import HEADER_BYTES, EnvelopeError, open_envelope, seal
from relay.message import NO_ORIGIN, Kind, Message

ORIGINS = st.binary(min_size=16, max_size=16)


@given(st.binary(max_size=300), st.sampled_from(Kind), ORIGINS)
def test_what_is_sealed_is_opened_unchanged(payload: bytes, kind: Kind, origin: bytes) -> None:
    if kind is Kind.TEXT:
        payload = payload.decode(errors="replace").encode()
    message = Message("lobby", payload, kind, origin)
    sealed = seal(message)
    assert len(sealed) == HEADER_BYTES + len(payload)
    assert open_envelope("lobby", sealed) == message


@given(st.text(max_size=100))
def test_a_plain_text_is_a_text_message(text: str) -> None:
    assert open_envelope("lobby", text.encode()) == Message("lobby", text.encode(), Kind.TEXT, NO_ORIGIN)


@pytest.mark.parametrize("data", [b"\x00\xff", b"\xff", b"\xc3\x28", b"\xffx plain"])
def test_plain_bytes_are_a_binary_message(data: bytes) -> None:
    assert open_envelope("lobby", data) == Message("lobby", data, Kind.BINARY, NO_ORIGIN)


@pytest.mark.parametrize("data", [b"\xffr", b"\xffr\x10short", b"\xffr\x20" + bytes(16), b"\xffr\x1f" + bytes(16)])
def test_broken_and_foreign_envelopes_are_refused(data: bytes) -> None:
    """They must not reach clients as payloads."""
    with pytest.raises(EnvelopeError):
        open_envelope("lobby", data)


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80", b"x" * 100_000 + b"\x80"])
def test_a_text_that_is_none_is_refused(payload: bytes) -> None:
    """Every browser of the channel would end its connection, again and again."""
    sealed = seal(Message("lobby", payload, Kind.TEXT))
    with pytest.raises(EnvelopeError, match="not valid UTF-8 at byte") as caught:
        open_envelope("lobby", sealed)
    assert len(str(caught.value)) < 100
    assert open_envelope("lobby", seal(Message("lobby", payload, Kind.BINARY))).payload == payload


@given(st.binary(max_size=64))
def test_whatever_is_on_the_bus_is_a_message_or_an_envelope_error(data: bytes) -> None:
    try:
        message = open_envelope("lobby", data)
    except EnvelopeError:
        assert data.startswith(b"\xffr")
    else:
        assert message.kind in Kind
        if message.kind is Kind.TEXT:
            message.payload.decode()

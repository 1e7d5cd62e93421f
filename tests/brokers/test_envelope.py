"""How messages are written on the bus."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.brokers.envelope import HEADER_BYTES, EnvelopeError, open_envelope, seal, seal_with_position
from relay.message import NO_ORIGIN, Attributes, Kind, Message
from relay.position import Position
from tests.brokers.drawn_messages import (
    MESSAGES,
    ORIGINS,
    POSITIONS,
    open_as_before_extensions,
    seal_extended,
    with_attributes,
    with_position,
)


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


@given(MESSAGES, POSITIONS)
def test_a_position_comes_along_and_leaves_the_message_alone(message: Message, position: Position) -> None:
    assert open_envelope("lobby", seal_with_position(message, position)) == with_position(message, position)
    assert type(open_envelope("lobby", seal(message))) is Message


@given(MESSAGES)
def test_a_message_without_a_position_is_written_as_ever(message: Message) -> None:
    """Byte for byte: gateways of the version before read it during a rolling upgrade."""
    sealed = seal(message)
    assert sealed == b"\xffr" + bytes([0x10 | message.kind]) + message.origin + message.payload
    assert open_as_before_extensions("lobby", sealed) == message == open_envelope("lobby", sealed)


@given(MESSAGES, POSITIONS)
def test_an_older_reader_refuses_extensions_and_delivers_no_wrong_payload(message: Message, position: Position) -> None:
    with pytest.raises(EnvelopeError, match=r"unknown version or kind '1[89]'"):
        open_as_before_extensions("lobby", seal_with_position(message, position))


@given(MESSAGES, POSITIONS, st.lists(st.tuples(st.integers(4, 255), st.binary(max_size=40)), max_size=5), st.randoms())
def test_extensions_of_a_newer_writer_are_passed_over(
    message: Message, position: Position, unknown: list[tuple[int, bytes]], random: Random
) -> None:
    known = (1, position.offset.to_bytes(8, "big") + position.epoch.encode())
    extensions = [*unknown, known]
    random.shuffle(extensions)
    assert open_envelope("lobby", seal_extended(message, extensions)) == with_position(message, position)
    assert open_envelope("lobby", seal_extended(message, unknown)) == message


@pytest.mark.parametrize("bits", [*range(0x12, 0x18), *range(0x1A, 0x20), *range(0x20, 0x100)])
def test_reserved_bits_and_other_versions_are_refused(bits: int) -> None:
    """A newer writer sets them when this reader could take the payload for what it is not."""
    data = b"\xffr" + bytes([bits]) + bytes(16) + b"\x00\x00" + b"payload"
    with pytest.raises(EnvelopeError, match="unknown version or kind"):
        open_envelope("lobby", data)


@given(MESSAGES, POSITIONS)
def test_an_envelope_that_is_cut_off_is_refused_or_its_payload_is_shorter(message: Message, position: Position) -> None:
    attributed = with_attributes(message, Attributes(b'{"user":"u"}', b'{"k":"v"}'))
    for sealed in (seal(message), *(seal_with_position(each, position) for each in (message, attributed))):
        header = len(sealed) - len(message.payload)
        for size in range(2, len(sealed)):
            try:
                opened = open_envelope("lobby", sealed[:size])
            except EnvelopeError:
                assert size < header or message.kind is Kind.TEXT
            else:
                assert size >= header
                assert opened.payload == message.payload[: size - header]


@given(MESSAGES, POSITIONS, st.integers(0, 255))
def test_any_byte_may_be_wrong(message: Message, position: Position, wrong: int) -> None:
    """Each byte in turn: the envelope is read, or refused with its own error."""
    attributed = with_attributes(message, Attributes(b'{"user":"u"}', b'{"k":"v"}'))
    for sealed in (seal_with_position(message, position), seal(attributed)):
        _read_with_one_wrong(sealed, wrong)


def _read_with_one_wrong(sealed: bytes, wrong: int) -> None:
    for index in range(len(sealed)):
        data = sealed[:index] + bytes([wrong]) + sealed[index + 1 :]
        try:
            open_envelope("lobby", data)
        except EnvelopeError:
            assert data.startswith(b"\xffr")


@pytest.mark.parametrize(
    ("extensions", "error"),
    [
        (b"", "expected at least 21"),
        (b"\x00", "expected at least 21"),
        (b"\x00\x05\x02", "expected at least 26"),
        (b"\x00\x01\x02", "beyond the end"),
        (b"\x00\x03\x02\x02\x00", "beyond the end"),
        (b"\x00\x04\x02\x00\x02\x01", "beyond the end"),
    ],
)
def test_extensions_that_do_not_fit_are_refused(extensions: bytes, error: str) -> None:
    data = b"\xffr\x19" + bytes(16) + extensions
    with pytest.raises(EnvelopeError, match=error):
        open_envelope("lobby", data)


@pytest.mark.parametrize(
    "value",
    [b"", bytes(8), bytes(8) + b"\xff", bytes(8) + b"e\nf", bytes(8) + b"e" * 65, b"\x00\x20" + bytes(6) + b"e"],
)
def test_a_broken_position_is_refused(value: bytes) -> None:
    """It goes to clients within lines of text, so whoever writes to Redis must not write lines."""
    with pytest.raises(EnvelopeError, match="position"):
        open_envelope("lobby", seal_extended(Message("lobby", b"x"), [(1, value)]))


@pytest.mark.parametrize(
    "position", [Position("", 1), Position("e" * 65, 1), Position("e\n", 1), Position("e", -1), Position("e", 2**53)]
)
def test_a_position_that_does_not_fit_is_not_written(position: Position) -> None:
    with pytest.raises(ValueError, match="can't be written"):
        seal_with_position(Message("lobby", b"x"), position)


@given(st.binary(max_size=64))
def test_whatever_follows_a_header_is_a_message_or_an_envelope_error(data: bytes) -> None:
    for prefix in (b"\xffr", b"\xffr\x18", b"\xffr\x19" + bytes(16), b"\xffr\x19" + bytes(17)):
        try:
            open_envelope("lobby", prefix + data)
        except EnvelopeError:
            assert (prefix + data).startswith(b"\xffr")

"""How messages are written on the bus."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.attributes import MAX_PUBLISHER_BYTES, MAX_TAGS_BYTES, encode_publisher, encode_tags
from relay.brokers.envelope import HEADER_BYTES, EnvelopeError, open_envelope, seal, seal_with_position
from relay.message import (
    NO_ORIGIN,
    AttributedMessage,
    Attributes,
    Kind,
    Message,
    PositionedMessage,
    attributes_of,
)
from relay.position import MAX_OFFSET, Position

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


EPOCHS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
POSITIONS = st.builds(Position, EPOCHS, st.integers(0, MAX_OFFSET))
MESSAGES = st.one_of(
    st.builds(Message, st.just("lobby"), st.text(max_size=60).map(str.encode), st.just(Kind.TEXT), ORIGINS),
    st.builds(Message, st.just("lobby"), st.binary(max_size=60), st.just(Kind.BINARY), ORIGINS),
)


@given(MESSAGES, POSITIONS)
def test_a_position_comes_along_and_leaves_the_message_alone(message: Message, position: Position) -> None:
    assert open_envelope("lobby", seal_with_position(message, position)) == _positioned(message, position)
    assert type(open_envelope("lobby", seal(message))) is Message


PUBLISHERS = st.builds(
    lambda user, letters: encode_publisher(user, b'"' + b"i" * letters + b'"'),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(0, 4000),
)
TAGS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), st.text(max_size=60), max_size=6).map(
    lambda tags: encode_tags({name: tag.encode(errors="replace").decode() for name, tag in tags.items()})
)
ATTRIBUTES = st.builds(Attributes, st.one_of(st.just(b""), PUBLISHERS), TAGS).filter(lambda a: a != Attributes())


@given(MESSAGES, ATTRIBUTES)
def test_attributes_come_along_and_leave_the_message_alone(message: Message, attributes: Attributes) -> None:
    attributed = _attributed(message, attributes)
    assert open_envelope("lobby", seal(attributed)) == attributed


@given(MESSAGES, ATTRIBUTES, POSITIONS)
def test_attributes_come_along_with_a_position(message: Message, attributes: Attributes, position: Position) -> None:
    expected = _positioned(message, position, attributes)
    for attributed in (_attributed(message, attributes), expected):
        assert open_envelope("lobby", seal_with_position(attributed, position)) == expected


def test_the_longest_attributes_have_room() -> None:
    """With the longest position: what `relay.attributes` lets through is never refused by the bus."""
    attributes = Attributes(
        b'{"user":"' + b"u" * (MAX_PUBLISHER_BYTES - 11) + b'"}', encode_tags({"t": "x" * (MAX_TAGS_BYTES - 8)})
    )
    assert (len(attributes.publisher), len(attributes.tags)) == (MAX_PUBLISHER_BYTES, MAX_TAGS_BYTES)
    position = Position("e" * 64, MAX_OFFSET)
    sealed = seal_with_position(_attributed(Message("lobby", b"x"), attributes), position)
    assert open_envelope("lobby", sealed) == _positioned(Message("lobby", b"x"), position, attributes)


@pytest.mark.parametrize("attributes", [None, Attributes()])
@given(message=MESSAGES, position=POSITIONS)
def test_without_attributes_nothing_more_is_written(
    attributes: Attributes | None, message: Message, position: Position
) -> None:
    positioned = _positioned(message, position, attributes)
    assert seal(positioned) == seal(message)
    assert seal_with_position(positioned, position) == seal_with_position(message, position)


def test_attributes_that_have_no_room_are_not_written() -> None:
    with pytest.raises(ValueError, match="at most 65461"):
        seal(AttributedMessage("lobby", b"x", attributes=Attributes(tags=b"x" * 65_000)))


@given(MESSAGES, ATTRIBUTES, POSITIONS)
def test_a_reader_from_before_attributes_passes_over_them(
    message: Message, attributes: Attributes, position: Position
) -> None:
    attributed = _attributed(message, attributes)
    assert _open_as_before_attributes("lobby", seal(attributed)) == message
    assert _open_as_before_attributes("lobby", seal_with_position(attributed, position)) == _positioned(
        message, position
    )


@given(MESSAGES, ATTRIBUTES, POSITIONS, st.integers(1, 255), st.randoms())
def test_pieces_of_any_size_and_among_others_are_put_together(
    message: Message, attributes: Attributes, position: Position, size: int, random: Random
) -> None:
    """Only those of one number have an order."""
    size = max(size, 30)  # smaller pieces of the longest attributes have no room
    queues = [
        [(number, value[at : at + size]) for at in range(0, len(value), size)]
        for number, value in ((2, attributes.publisher), (3, attributes.tags), (9, b"unknown"))
    ]
    queues.append([(1, position.offset.to_bytes(8, "big") + position.epoch.encode())])
    extensions = []
    while queues := [queue for queue in queues if queue]:
        extensions.append(random.choice(queues).pop(0))
    expected = _positioned(message, position, attributes)
    assert open_envelope("lobby", _seal_extended(message, extensions)) == expected


@pytest.mark.parametrize(
    "publisher",
    [
        b"x",
        b"[]",
        b'"u"',
        b"{}",
        b'{"user":1}',
        b'{"user":"u"',
        b'{"user":"u"}{}',
        b'{"user":"u","conn_info":}',
        b'{"user":"u","conn_info":tru}',
        b'{"user":"u",\n"conn_info":1}',
        b'{"user":"u","conn_info":[1,\r2]}',
        b'{"user":"u","conn_info":"\xff"}',
        b'{"user":"u","chan_info":"\xed\xa0\x80"}',
        b'{"user":"u","chan_info":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
)
@pytest.mark.parametrize("tags", [b"", b'{"k":"v"}'])
def test_a_publisher_that_is_none_is_left_out(publisher: bytes, tags: bytes) -> None:
    """It goes into what browsers get: whoever writes to Redis must not end their connections, nor write lines."""
    sealed = seal(AttributedMessage("lobby", b"x", attributes=Attributes(publisher, tags)))
    opened = open_envelope("lobby", sealed)
    assert opened.payload == b"x"
    assert attributes_of(opened) == (Attributes(b"", tags) if tags else None)


@pytest.mark.parametrize(
    "tags", [b"x", b"[]", b"null", b'{"k":1}', b'{"k":null}', b'{"k":"v"', b'{"k":\n"v"}', b'{"k":"\xff"}', b'{k:"v"}']
)
@pytest.mark.parametrize("publisher", [b"", b'{"user":"u"}'])
def test_tags_that_are_none_are_left_out(tags: bytes, publisher: bytes) -> None:
    position = Position("e", 1)
    message = AttributedMessage("lobby", b"x", attributes=Attributes(publisher, tags))
    opened = open_envelope("lobby", seal_with_position(message, position))
    attributes = Attributes(publisher) if publisher else None
    assert opened == PositionedMessage("lobby", b"x", position=position, attributes=attributes)


@given(MESSAGES)
def test_a_message_without_a_position_is_written_as_ever(message: Message) -> None:
    """Byte for byte: gateways of the version before read it during a rolling upgrade."""
    sealed = seal(message)
    assert sealed == b"\xffr" + bytes([0x10 | message.kind]) + message.origin + message.payload
    assert _open_as_before_extensions("lobby", sealed) == message == open_envelope("lobby", sealed)


@given(MESSAGES, POSITIONS)
def test_an_older_reader_refuses_extensions_and_delivers_no_wrong_payload(message: Message, position: Position) -> None:
    with pytest.raises(EnvelopeError, match=r"unknown version or kind '1[89]'"):
        _open_as_before_extensions("lobby", seal_with_position(message, position))


@given(MESSAGES, POSITIONS, st.lists(st.tuples(st.integers(4, 255), st.binary(max_size=40)), max_size=5), st.randoms())
def test_extensions_of_a_newer_writer_are_passed_over(
    message: Message, position: Position, unknown: list[tuple[int, bytes]], random: Random
) -> None:
    known = (1, position.offset.to_bytes(8, "big") + position.epoch.encode())
    extensions = [*unknown, known]
    random.shuffle(extensions)
    assert open_envelope("lobby", _seal_extended(message, extensions)) == _positioned(message, position)
    assert open_envelope("lobby", _seal_extended(message, unknown)) == message


@pytest.mark.parametrize("bits", [*range(0x12, 0x18), *range(0x1A, 0x20), *range(0x20, 0x100)])
def test_reserved_bits_and_other_versions_are_refused(bits: int) -> None:
    """A newer writer sets them when this reader could take the payload for what it is not."""
    data = b"\xffr" + bytes([bits]) + bytes(16) + b"\x00\x00" + b"payload"
    with pytest.raises(EnvelopeError, match="unknown version or kind"):
        open_envelope("lobby", data)


@given(MESSAGES, POSITIONS)
def test_an_envelope_that_is_cut_off_is_refused_or_its_payload_is_shorter(message: Message, position: Position) -> None:
    attributed = _attributed(message, Attributes(b'{"user":"u"}', b'{"k":"v"}'))
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
    attributed = _attributed(message, Attributes(b'{"user":"u"}', b'{"k":"v"}'))
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
        open_envelope("lobby", _seal_extended(Message("lobby", b"x"), [(1, value)]))


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


def _positioned(message: Message, position: Position, attributes: Attributes | None = None) -> PositionedMessage:
    return PositionedMessage(
        message.channel, message.payload, message.kind, message.origin, position=position, attributes=attributes
    )


def _attributed(message: Message, attributes: Attributes) -> AttributedMessage:
    return AttributedMessage(message.channel, message.payload, message.kind, message.origin, attributes=attributes)


def _seal_extended(message: Message, extensions: list[tuple[int, bytes]]) -> bytes:
    """Return an envelope with extensions, as any later version may write it."""
    area = b"".join(bytes([number, len(value)]) + value for number, value in extensions)
    header = b"\xffr" + bytes([0x18 | message.kind]) + message.origin
    return header + len(area).to_bytes(2, "big") + area + message.payload


def _open_as_before_attributes(channel: str, data: bytes) -> Message:
    """Read an envelope with extensions as the version before attributes did."""
    kind, start = Kind(data[2] & 1), 21
    end = start + int.from_bytes(data[19:start], "big")
    assert len(data) >= end
    position: Position | None = None
    while start < end:
        value = start + 2
        start = value + (data[start + 1] if value <= end else 0)
        if start <= end and position is None and data[value - 2] == 1:
            position = Position(data[value + 8 : start].decode(), int.from_bytes(data[value : value + 8], "big"))
    assert start == end
    if position is None:
        return Message(channel, data[end:], kind, data[3:19])
    return PositionedMessage(channel, data[end:], kind, data[3:19], position=position)


def _open_as_before_extensions(channel: str, data: bytes) -> Message:
    """Read an envelope as the version before extensions did."""
    kind = {b"\xffr\x10": Kind.TEXT, b"\xffr\x11": Kind.BINARY}.get(data[:3])
    if kind is not None:
        if len(data) < 19:
            raise EnvelopeError(f"envelope of {len(data)} bytes, expected at least 19")
        return Message(channel, data[19:], kind, data[3:19])
    if data.startswith(b"\xffr"):
        raise EnvelopeError(f"envelope of unknown version or kind {data[2:3].hex()!r}")
    return Message(channel, data, Kind.TEXT, NO_ORIGIN)

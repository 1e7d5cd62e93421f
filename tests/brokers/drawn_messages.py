"""Messages, positions and attributes that hypothesis draws, and envelopes of other versions."""

from __future__ import annotations

from hypothesis import strategies as st

from relay.attributes import encode_publisher, encode_tags
from relay.brokers.envelope import EnvelopeError
from relay.message import NO_ORIGIN, AttributedMessage, Attributes, Kind, Message, PositionedMessage
from relay.position import MAX_OFFSET, Position

ORIGINS = st.binary(min_size=16, max_size=16)


EPOCHS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
POSITIONS = st.builds(Position, EPOCHS, st.integers(0, MAX_OFFSET))
MESSAGES = st.one_of(
    st.builds(Message, st.just("lobby"), st.text(max_size=60).map(str.encode), st.just(Kind.TEXT), ORIGINS),
    st.builds(Message, st.just("lobby"), st.binary(max_size=60), st.just(Kind.BINARY), ORIGINS),
)


PUBLISHERS = st.builds(
    lambda user, letters: encode_publisher(user, b'"' + b"i" * letters + b'"'),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(0, 4000),
)
TAGS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), st.text(max_size=60), max_size=6).map(
    lambda tags: encode_tags({name: tag.encode(errors="replace").decode() for name, tag in tags.items()})
)
ATTRIBUTES = st.builds(Attributes, st.one_of(st.just(b""), PUBLISHERS), TAGS).filter(lambda a: a != Attributes())


def with_position(message: Message, position: Position, attributes: Attributes | None = None) -> PositionedMessage:
    return PositionedMessage(
        message.channel, message.payload, message.kind, message.origin, position=position, attributes=attributes
    )


def with_attributes(message: Message, attributes: Attributes) -> AttributedMessage:
    return AttributedMessage(message.channel, message.payload, message.kind, message.origin, attributes=attributes)


def seal_extended(message: Message, extensions: list[tuple[int, bytes]]) -> bytes:
    """Return an envelope with extensions, as any later version may write it."""
    area = b"".join(bytes([number, len(value)]) + value for number, value in extensions)
    header = b"\xffr" + bytes([0x18 | message.kind]) + message.origin
    return header + len(area).to_bytes(2, "big") + area + message.payload


def open_as_before_attributes(channel: str, data: bytes) -> Message:
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


def open_as_before_extensions(channel: str, data: bytes) -> Message:
    """Read an envelope as the version before extensions did."""
    kind = {b"\xffr\x10": Kind.TEXT, b"\xffr\x11": Kind.BINARY}.get(data[:3])
    if kind is not None:
        if len(data) < 19:
            raise EnvelopeError(f"envelope of {len(data)} bytes, expected at least 19")
        return Message(channel, data[19:], kind, data[3:19])
    if data.startswith(b"\xffr"):
        raise EnvelopeError(f"envelope of unknown version or kind {data[2:3].hex()!r}")
    return Message(channel, data, Kind.TEXT, NO_ORIGIN)

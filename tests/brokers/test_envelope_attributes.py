"""Attributes in envelopes."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.attributes import MAX_PUBLISHER_BYTES, MAX_TAGS_BYTES, encode_tags
from relay.brokers.envelope import open_envelope, seal, seal_with_position
from relay.message import AttributedMessage, Attributes, Message, PositionedMessage, attributes_of
from relay.position import MAX_OFFSET, Position
from tests.brokers.drawn_messages import (
    ATTRIBUTES,
    MESSAGES,
    POSITIONS,
    open_as_before_attributes,
    seal_extended,
    with_attributes,
    with_position,
)


@given(MESSAGES, ATTRIBUTES)
def test_attributes_come_along_and_leave_the_message_alone(message: Message, attributes: Attributes) -> None:
    attributed = with_attributes(message, attributes)
    assert open_envelope("lobby", seal(attributed)) == attributed


@given(MESSAGES, ATTRIBUTES, POSITIONS)
def test_attributes_come_along_with_a_position(message: Message, attributes: Attributes, position: Position) -> None:
    expected = with_position(message, position, attributes)
    for attributed in (with_attributes(message, attributes), expected):
        assert open_envelope("lobby", seal_with_position(attributed, position)) == expected


def test_the_longest_attributes_have_room() -> None:
    """With the longest position: what `relay.attributes` lets through is never refused by the bus."""
    attributes = Attributes(
        b'{"user":"' + b"u" * (MAX_PUBLISHER_BYTES - 11) + b'"}', encode_tags({"t": "x" * (MAX_TAGS_BYTES - 8)})
    )
    assert (len(attributes.publisher), len(attributes.tags)) == (MAX_PUBLISHER_BYTES, MAX_TAGS_BYTES)
    position = Position("e" * 64, MAX_OFFSET)
    sealed = seal_with_position(with_attributes(Message("lobby", b"x"), attributes), position)
    assert open_envelope("lobby", sealed) == with_position(Message("lobby", b"x"), position, attributes)


@pytest.mark.parametrize("attributes", [None, Attributes()])
@given(message=MESSAGES, position=POSITIONS)
def test_without_attributes_nothing_more_is_written(
    attributes: Attributes | None, message: Message, position: Position
) -> None:
    positioned = with_position(message, position, attributes)
    assert seal(positioned) == seal(message)
    assert seal_with_position(positioned, position) == seal_with_position(message, position)


def test_attributes_that_have_no_room_are_not_written() -> None:
    with pytest.raises(ValueError, match="at most 65461"):
        seal(AttributedMessage("lobby", b"x", attributes=Attributes(tags=b"x" * 65_000)))


@given(MESSAGES, ATTRIBUTES, POSITIONS)
def test_a_reader_from_before_attributes_passes_over_them(
    message: Message, attributes: Attributes, position: Position
) -> None:
    attributed = with_attributes(message, attributes)
    assert open_as_before_attributes("lobby", seal(attributed)) == message
    assert open_as_before_attributes("lobby", seal_with_position(attributed, position)) == with_position(
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
    expected = with_position(message, position, attributes)
    assert open_envelope("lobby", seal_extended(message, extensions)) == expected


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

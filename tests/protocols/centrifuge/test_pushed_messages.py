"""Messages of the bus, pushed to clients in both formats."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message import NO_ORIGIN, AttributedMessage, Attributes, Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols.centrifuge import client_pb2
from relay.protocols.centrifuge.formats import Format
from relay.protocols.centrifuge.json_format import FORMAT as JSON
from relay.protocols.centrifuge.protobuf_format import FORMAT as PROTOBUF
from relay.protocols.centrifuge.publications import publication_of
from tests.protocols.centrifuge.strategies import JSON_VALUES, TEXTS
from tests.protocols.centrifuge.written import both, check_push, read_replies

ORIGIN = bytes(range(16))


PUBLISHERS = [
    b"",
    b'{"user":""}',
    b'{"user":"u","conn_info":{"a":1},"chan_info":[2]}',
    b'{"user":"u","conn_info":null}',
    b'{"conn_info":1}',
    b"[]",
]
TAGS = [b"", b'{"k":"v","x":"\xc3\xa4"}', b"{}", b'{"k":1}']

MESSAGES = st.tuples(
    TEXTS.filter(bool),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.none() | st.integers(1, 2**53 - 1),
    st.sampled_from(PUBLISHERS),
    st.sampled_from(TAGS),
)


def message_of(channel: str, payload: bytes, offset: int | None, publisher: bytes, tags: bytes) -> Message:
    """Return a message of the class that carries all this."""
    attributes = Attributes(publisher, tags) if publisher or tags else None
    if offset is not None:
        position = Position("Ep_-1", offset)
        return PositionedMessage(channel, payload, Kind.TEXT, ORIGIN, position=position, attributes=attributes)
    if attributes is not None:
        return AttributedMessage(channel, payload, Kind.TEXT, ORIGIN, attributes=attributes)
    return Message(channel, payload, Kind.TEXT, ORIGIN)


@both
@given(drawn=MESSAGES)
def test_messages_of_the_bus_are_pushed_as_publications(format_: Format, drawn: tuple[Any, ...]) -> None:
    message = message_of(*drawn)
    expected = publication_of(message, message.payload)
    if expected.offset == 1:
        expected = msgspec.structs.replace(expected, epoch="Ep_-1")
    encoded = format_.publication(message)
    check_push(format_, encoded, message.channel, expected)
    assert format_.publication(message, format_.data(message.payload)) == encoded
    if format_ is PROTOBUF:
        assert client_pb2.Reply.FromString(encoded).push.pub.epoch == expected.epoch


@both
@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 16383, 16384, 70000])
def test_messages_of_any_size_are_pushed(format_: Format, size: int) -> None:
    message = Message("c" * 130, b'"' + b"x" * size + b'"', Kind.TEXT, NO_ORIGIN)
    check_push(format_, format_.publication(message), message.channel, publication_of(message, message.payload))


@both
def test_a_publication_tells_who_published_it_and_its_tags(format_: Format) -> None:
    """With a position, with the first one, and without."""
    for offset in (None, 1, 2):
        message = message_of("a", b"1", offset, PUBLISHERS[2], TAGS[1])
        (reply,) = read_replies(format_, format_.join([format_.publication(message)]))
        if format_ is JSON:
            reply["push"]["pub"].pop("offset", None)
            epoch = {"epoch": "Ep_-1"} if offset == 1 else {}
            info = {"user": "u", "client": ORIGIN.hex(), "conn_info": {"a": 1}, "chan_info": [2]}
            assert reply["push"]["pub"] == {"data": 1, "info": info, "tags": {"k": "v", "x": "ä"}, **epoch}
        else:
            pub = reply.push.pub
            assert (pub.data, pub.offset, dict(pub.tags)) == (b"1", offset or 0, {"k": "v", "x": "ä"})
            assert (pub.info.user, pub.info.client, pub.info.conn_info) == ("u", ORIGIN.hex(), b'{"a":1}')
            assert pub.info.chan_info == b"[2]"

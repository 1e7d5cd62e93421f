"""Publications made of messages."""

from __future__ import annotations

import pytest
from msgspec import Raw

from relay.attributes import encode_publisher, encode_tags
from relay.message import AttributedMessage, Attributes, Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols.centrifuge.publications import publication_of
from relay.protocols.centrifuge.results import ClientInfo, Publication

ORIGIN = bytes(range(16))
CLIENT = "000102030405060708090a0b0c0d0e0f"


def test_a_message_without_attributes_says_nothing_of_its_publisher() -> None:
    assert publication_of(Message("a", b"1", Kind.TEXT, ORIGIN), b"1") == Publication(Raw(b"1"))
    message = PositionedMessage("a", b"1", Kind.TEXT, ORIGIN, position=Position("e", 7))
    assert publication_of(message, b'"x"') == Publication(Raw(b'"x"'), offset=7)


def test_the_publisher_and_the_tags_are_told() -> None:
    attributes = Attributes(encode_publisher("alice", b'{"a":1}', None), encode_tags({"k": "v"}))
    info = ClientInfo("alice", CLIENT, Raw(b'{"a":1}'))
    attributed = AttributedMessage("a", b"1", Kind.TEXT, ORIGIN, attributes=attributes)
    assert publication_of(attributed, b"1") == Publication(Raw(b"1"), info, tags={"k": "v"})
    positioned = PositionedMessage("a", b"1", Kind.TEXT, ORIGIN, position=Position("e", 7), attributes=attributes)
    assert publication_of(positioned, b"1") == Publication(Raw(b"1"), info, 7, {"k": "v"})


@pytest.mark.parametrize(
    "attributes",
    [
        Attributes(b"{}", b"[]"),
        Attributes(b'{"user":1}', b'{"a":1}'),
        Attributes(b"\xff", b"\xff"),
        Attributes(b"", b"{}"),
    ],
)
def test_attributes_that_are_not_understood_are_left_out(attributes: Attributes) -> None:
    """Any program may publish on the bus."""
    message = AttributedMessage("a", b"1", Kind.TEXT, ORIGIN, attributes=attributes)
    assert publication_of(message, b"1") == Publication(Raw(b"1"))


def test_an_info_that_is_null_is_none() -> None:
    message = AttributedMessage("a", b"1", Kind.TEXT, ORIGIN, attributes=Attributes(b'{"user":"","conn_info":null}'))
    assert publication_of(message, b"1").info == ClientInfo("", CLIENT)

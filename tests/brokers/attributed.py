"""Messages with attributes."""

from __future__ import annotations

from relay.attributes import encode_publisher, encode_tags
from relay.message import AttributedMessage, Attributes, Kind, Message


def attributed(channel: str) -> list[Message]:
    """Return messages with attributes of all kinds and sizes."""
    info = b'{"about":"' + b"i" * 4000 + b'"}'
    long = Attributes(encode_publisher("ann", info, info), encode_tags({"tag": "t" * 4000}))
    return [
        AttributedMessage(
            channel, b"1", Kind.TEXT, b"0123456789abcdef", attributes=Attributes(encode_publisher("ann"))
        ),
        AttributedMessage(channel, b"\x00\xff", Kind.BINARY, attributes=Attributes(tags=encode_tags({"k": "v"}))),
        AttributedMessage(channel, b"", Kind.TEXT, b"0123456789abcdef", attributes=long),
        AttributedMessage(channel, b"4" * 5000, Kind.BINARY, attributes=long),
    ]

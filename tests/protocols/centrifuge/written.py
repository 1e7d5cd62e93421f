"""Commands as clients write them, and replies and pushes as they read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from centrifuge.codecs import _JsonCodec
from centrifuge.protocol import client_pb2 as official
from google.protobuf.json_format import ParseDict

from relay.protocols.centrifuge import client_pb2
from relay.protocols.centrifuge.commands import (
    Command,
)
from relay.protocols.centrifuge.formats import Format
from relay.protocols.centrifuge.json_format import FORMAT as JSON
from relay.protocols.centrifuge.protobuf_format import FORMAT as PROTOBUF
from relay.protocols.centrifuge.pushes import Push
from tests.protocols.centrifuge.strategies import check_message, plain

both = pytest.mark.parametrize("format_", [JSON, PROTOBUF], ids=lambda format_: format_.name)


def write(format_: Format, commands: Sequence[Command]) -> bytes:
    """Return commands as a client writes them."""
    if format_ is JSON:
        return b"\n".join(msgspec.json.encode(plain(command, "raw")) for command in commands)
    encoded = [ParseDict(plain(command, "base64"), client_pb2.Command()).SerializeToString() for command in commands]
    return PROTOBUF.join(encoded)


def read_replies(format_: Format, payload: bytes) -> list[Any]:
    """Return replies as a client reads them: in Protobuf its messages."""
    if format_ is JSON:
        return list(_JsonCodec.decode_replies(payload.decode()))
    replies, at = [], 0
    while at < len(payload):
        size, at = _read_varint(payload, at)
        replies.append(official.Reply.FromString(payload[at : at + size]))
        at += size
    assert at == len(payload)
    return replies


def _read_varint(payload: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = payload[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def check_push(format_: Format, encoded: bytes, channel: str, push: Push) -> None:
    """Fail unless a push says this, as a client reads it."""
    (reply,) = read_replies(format_, format_.join([encoded]))
    if format_ is JSON:
        where = {"channel": channel} if channel else {}
        assert reply == {"push": {**where, push.key: plain(push)}}
    else:
        assert [field.name for field, _ in reply.ListFields()] == ["push"]
        assert reply.push.channel == channel
        assert reply.push.HasField(push.key)
        check_message(getattr(reply.push, push.key), push)

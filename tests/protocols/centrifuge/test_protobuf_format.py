"""The Centrifuge protocol in Protobuf, where it differs from the other format."""

from __future__ import annotations

import subprocess
import sys

import pytest
from msgspec import Raw, Struct

from relay.message import Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols.centrifuge import client_pb2, commands, emulation, pushes, results
from relay.protocols.centrifuge.commands import Command, PublishRequest, SubRefreshRequest
from relay.protocols.centrifuge.formats import FormatError
from relay.protocols.centrifuge.protobuf_format import FORMAT


def delimited(*parts: bytes) -> bytes:
    """Return short messages, each behind its length."""
    return b"".join(bytes([len(part)]) + part for part in parts)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x01",
        b"\x80",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x80\x80\x80\x80\x00",
        b"\xff\xff\xff\x7f",
        b"\x00\x05\x08",
        delimited(b"\x08"),
        delimited(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        delimited(b"\x22\x05"),
        delimited(b"\x22\x02\x0a\x05"),
        delimited(b"\x22\x03\x0a\x01\xff"),
        delimited(b"\x07"),
        delimited(b"\x00\x00"),
        delimited(client_pb2.Command(subscribe=client_pb2.SubscribeRequest(offset=2**63)).SerializeToString()),
        delimited(b"\x0b" * 100),
    ],
)
def test_what_is_malformed_is_refused(payload: bytes) -> None:
    with pytest.raises(FormatError) as error:
        FORMAT.read(payload)
    assert 0 < len(str(error.value)) < 200


def test_types_are_read() -> None:
    """The schema of Centrifugo's client for Python doesn't have these yet."""
    publish = client_pb2.Command(id=1, publish=client_pb2.PublishRequest(channel="a", data=b"\0", type=1))
    refresh = client_pb2.Command(sub_refresh=client_pb2.SubRefreshRequest(channel="a", token="t", type=-1))
    read = FORMAT.read(delimited(publish.SerializeToString(), refresh.SerializeToString()))
    assert read == [
        Command(1, publish=PublishRequest("a", Raw(b"\0"), 1)),
        Command(sub_refresh=SubRefreshRequest("a", "t", -1)),
    ]


def test_any_payload_is_carried() -> None:
    payload = bytes(range(256))
    assert FORMAT.data(payload) == payload
    reply = client_pb2.Reply.FromString(FORMAT.publication(Message("a", payload, Kind.BINARY)))
    assert reply.push.pub == client_pb2.Publication(data=payload)


def test_a_position_costs_a_publication_little() -> None:
    message = PositionedMessage("a", b"1", position=Position("e", 300))
    reply = client_pb2.Reply.FromString(FORMAT.publication(message))
    assert reply.push.pub == client_pb2.Publication(data=b"1", offset=300)


def test_structs_and_schema_have_the_same_fields() -> None:
    """The format copies fields by their names."""
    structs = {
        name: value
        for module in (commands, results, pushes, emulation)
        for name, value in vars(module).items()
        if not name.startswith("_") and isinstance(value, type) and issubclass(value, Struct) and value is not Struct
    }
    names = {"RPCRequest": "RpcRequest", "RPCResult": "RpcResult"}
    messages = client_pb2.DESCRIPTOR.message_types_by_name
    for name, message in messages.items():
        if name not in ("Reply", "Push"):
            fields = structs[names.get(name, name)].__struct_fields__
            assert {field.name for field in message.fields} == set(fields), name
    assert {names.get(name, name) for name in messages} - {"Reply", "Push"} == set(structs)
    keys = {struct.key for struct in results.Result.__args__} | {struct.key for struct in pushes.Push.__args__}
    fields_ = {field.name for name in ("Reply", "Push") for field in messages[name].fields}
    assert fields_ - keys == {"id", "error", "push", "channel"}


def test_a_gateway_without_such_clients_does_not_load_the_library() -> None:
    """It takes some megabytes."""
    code = (
        "import sys, relay.gateway, relay.protocols.centrifuge.json_format;"
        "print([name for name in sys.modules if name.startswith('google')])"
    )
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert process.stdout == "[]\n"

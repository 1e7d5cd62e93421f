"""What both formats owe: the same cases over JSON and Protobuf, judged by the codecs of Centrifugo's own client."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from centrifuge.codecs import _JsonCodec, _ProtobufCodec
from centrifuge.protocol import client_pb2 as official
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from relay.protocols.centrifuge.commands import (
    MOST_NAMES,
    Command,
    ConnectRequest,
    HistoryRequest,
    SendRequest,
    StreamPosition,
    SubscribeRequest,
)
from relay.protocols.centrifuge.formats import Format, FormatError
from relay.protocols.centrifuge.json_format import FORMAT as JSON
from relay.protocols.centrifuge.protobuf_format import FORMAT as PROTOBUF
from relay.protocols.centrifuge.pushes import Disconnect, Push
from relay.protocols.centrifuge.results import Error, Result, UnsubscribeResult
from tests.harness.examples import examples
from tests.protocols.centrifuge.strategies import COMMANDS, ERRORS, PUSHES, RESULTS, TEXTS, UINT32, check_message, plain
from tests.protocols.centrifuge.written import both, check_push, read_replies, write


@both
@given(commands=st.lists(COMMANDS, min_size=1, max_size=4))
def test_commands_are_read_as_a_client_writes_them(format_: Format, commands: list[Command]) -> None:
    assert format_.read(write(format_, commands)) == commands


@both
def test_commands_of_centrifugos_own_client_are_read(format_: Format) -> None:
    """As its codecs write them."""
    data = {"a": "ä"} if format_ is JSON else b64encode(b"\0\xff").decode()
    said: list[dict[str, Any]] = [
        {"id": 1, "connect": {"token": "t", "data": data, "name": "python", "version": "0.7"}},
        {"id": 2, "subscribe": {"channel": "a" * 200, "recover": True, "epoch": "e", "offset": 7, "flag": 3}},
        {"id": 3, "history": {"channel": "a", "limit": -1, "since": {"offset": 3, "epoch": "e"}, "reverse": True}},
        {"send": {"data": data}},
        {},
    ]
    codec = _JsonCodec if format_ is JSON else _ProtobufCodec
    encoded = codec.encode_commands(said)
    connect, subscribe, history, send, pong = format_.read(encoded if isinstance(encoded, bytes) else encoded.encode())
    assert connect.connect is not None
    assert (connect.id, connect.connect.token, connect.connect.name) == (1, "t", "python")
    assert bytes(connect.connect.data) == (b'{"a": "\\u00e4"}' if format_ is JSON else b"\0\xff")
    assert subscribe.subscribe == SubscribeRequest("a" * 200, recover=True, epoch="e", offset=7, flag=3)
    assert history.history == HistoryRequest("a", -1, StreamPosition(3, "e"), reverse=True)
    assert send.send == SendRequest(connect.connect.data)
    assert pong == Command()


@both
def test_a_pong_is_a_command_without_anything(format_: Format) -> None:
    payload = {JSON.name: b"{}", PROTOBUF.name: b"\0"}[format_.name]
    assert format_.read(payload) == [Command()]
    assert write(format_, [Command()]) == payload


@both
def test_what_the_schema_does_not_know_is_ignored(format_: Format) -> None:
    """All clients ask for what no gateway knows."""
    said = {
        "id": 1,
        "subscribe": {
            "channel": "a",
            "flag": 1,
            "tf": {"op": "and", "nodes": [{"key": "k", "cmp": "eq", "val": "v"}]},
        },
    }
    if format_ is JSON:
        payload = json.dumps({**said, "later": {"more": [1]}}).encode()
    else:
        encoded = ParseDict(said, official.Command()).SerializeToString() + b"\xa2\x06\x01x"  # field 100
        payload = bytes([len(encoded)]) + encoded
    (command,) = format_.read(payload)
    assert command.subscribe is not None
    assert (command.id, command.subscribe.channel, command.subscribe.flag) == (1, "a", 1)


@both
@given(payload=st.binary(max_size=60))
def test_any_bytes_are_commands_or_are_refused(format_: Format, payload: bytes) -> None:
    check_read(format_, payload)


@both
@examples(300)
@given(data=st.data(), commands=st.lists(COMMANDS, min_size=1, max_size=3))
def test_mutated_commands_are_read_or_refused(format_: Format, data: st.DataObject, commands: list[Command]) -> None:
    payload = bytearray(write(format_, commands))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload)))
        payload[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check_read(format_, bytes(payload))


@both
@examples(30)
@given(commands=st.lists(COMMANDS, min_size=1, max_size=2))
def test_commands_that_are_cut_anywhere_are_commands_or_are_refused(format_: Format, commands: list[Command]) -> None:
    payload = write(format_, commands)
    for end in range(len(payload)):
        check_read(format_, payload[:end])


def check_read(format_: Format, payload: bytes) -> None:
    """Read what may be malformed: no other exception may leave, and none may come of its text."""
    try:
        commands = format_.read(payload)
    except FormatError:
        return
    assert commands
    assert all(isinstance(command, Command) for command in commands)


@both
def test_there_are_names_only_for_as_many_channels_as_a_client_can_have(format_: Format) -> None:
    """Nobody knows yet who says this, and each name costs microseconds, in which all others wait."""
    names = [f"{number}" for number in range(MOST_NAMES)]
    subs, headers = dict.fromkeys(names, SubscribeRequest()), dict.fromkeys(names, "")
    commands = [Command(1, ConnectRequest(subs=subs, headers=headers))]
    assert format_.read(write(format_, commands)) == commands
    for connect in (
        ConnectRequest(subs={**subs, "x": SubscribeRequest()}),
        ConnectRequest(headers={**headers, "x": ""}),
    ):
        with pytest.raises(FormatError):
            format_.read(write(format_, [Command(1, connect)]))


def test_names_of_what_is_null_are_counted_as_well() -> None:
    nothing = b",".join(b'"%d":null' % number for number in range(MOST_NAMES + 1))
    for payload in (b"{%b}" % nothing, b'{"connect":{%b}}' % nothing, b'{"connect":{"subs":{%b}}}' % nothing):
        with pytest.raises(FormatError, match="too many names"):
            JSON.read(payload)


@both
def test_a_payload_has_at_least_one_command(format_: Format) -> None:
    with pytest.raises(FormatError):
        format_.read(b"")


@both
@given(commands=st.lists(COMMANDS, min_size=1, max_size=20), most=st.integers(1, 8), space=st.booleans())
def test_parts_are_read_as_the_whole(format_: Format, commands: list[Command], most: int, space: bool) -> None:
    payload = write(format_, commands) + (b" \n\r\n" if space and format_ is JSON else b"")
    start, sizes, read = 0, [], list[Command]()
    while start < len(payload):
        end = format_.cut(payload, start, most)
        part = format_.read(payload[start:end])
        sizes.append(len(part))
        read += part
        start = end
    assert read == commands
    assert all(size == most for size in sizes[:-1])


@both
@given(id_=UINT32, result=RESULTS)
def test_replies_are_read_by_a_client_as_they_were_meant(format_: Format, id_: int, result: Result) -> None:
    (reply,) = read_replies(format_, format_.join([format_.reply(id_, result)]))
    if format_ is JSON:
        assert reply == {"id": id_, result.key: plain(result)}
    else:
        assert reply.id == id_
        assert [field.name for field, _ in reply.ListFields() if field.name != "id"] == [result.key]
        check_message(getattr(reply, result.key), result)


@both
@given(id_=UINT32, error=ERRORS)
def test_refusals_are_read_by_a_client_as_they_were_meant(format_: Format, id_: int, error: Error) -> None:
    (reply,) = read_replies(format_, format_.join([format_.refusal(id_, error)]))
    if format_ is JSON:
        assert reply == {"id": id_, "error": plain(error)}
    else:
        assert reply.id == id_
        check_message(reply.error, error)


@both
@given(channel=TEXTS, push=PUSHES)
def test_pushes_are_read_by_a_client_as_they_were_meant(format_: Format, channel: str, push: Push) -> None:
    check_push(format_, format_.push(channel, push), channel, push)
    bare = format_.unidirectional_push(channel, push)
    if format_ is JSON:
        assert {"push": json.loads(bare)} == json.loads(format_.push(channel, push))
    else:
        read = official.Push.FromString(bare)
        assert read.channel == channel
        check_message(getattr(read, push.key), push)


@both
def test_several_replies_make_one_payload_with_a_ping_among_them(format_: Format) -> None:
    parts = [format_.reply(1, UnsubscribeResult()), format_.ping, format_.push("", Disconnect(3001, "shutdown"))]
    first, ping, last = read_replies(format_, format_.join(parts))
    if format_ is JSON:
        assert (first, ping) == ({"id": 1, "unsubscribe": {}}, {})
        assert last == {"push": {"disconnect": {"code": 3001, "reason": "shutdown"}}}
    else:
        assert (first.id, first.HasField("unsubscribe"), ping) == (1, True, official.Reply())
        assert (last.push.disconnect.code, last.push.disconnect.reason) == (3001, "shutdown")


@both
def test_what_the_client_reads_of_the_wire_is_read_by_its_own_codec(format_: Format) -> None:
    """Its codec of Protobuf takes lengths as this relay writes them."""
    payload = format_.join([format_.ping, *[format_.push("a" * 200, Disconnect(1, "x"))] * 2])
    if format_ is JSON:
        assert len(_JsonCodec.decode_replies(payload.decode())) == 3
    else:
        assert len(_ProtobufCodec.decode_replies(payload)) == 3

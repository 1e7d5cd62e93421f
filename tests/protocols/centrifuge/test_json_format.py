"""The Centrifuge protocol in JSON, where it differs from the other format."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from relay.message import Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols.centrifuge.commands import (
    Command,
    ConnectRequest,
    PublishRequest,
    RefreshRequest,
    RpcRequest,
    SendRequest,
    SubscribeRequest,
)
from relay.protocols.centrifuge.formats import FormatError
from relay.protocols.centrifuge.json_format import FORMAT
from relay.protocols.centrifuge.pushes import Join, Unsubscribe
from relay.protocols.centrifuge.results import (
    ClientInfo,
    ConnectResult,
    HistoryResult,
    PresenceStatsResult,
    PublishResult,
    SubscribeResult,
)


def test_white_space_around_commands_does_not_matter() -> None:
    pongs = [Command(), Command()]
    for payload in (b"{}\n{}", b"{}\n{}\n", b"{}\r\n{}\r\n", b" {} \n\t{ }\n\n"):
        assert FORMAT.read(payload) == pongs


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\n",
        b"{}\n\n{}",
        b"\n{}",
        b"{} {}",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"a"',
        b'{"id":-1}',
        b'{"id":4294967296}',
        b'{"id":1.5}',
        b'{"id":"1"}',
        b'{"id":true}',
        b'{"id":' + b"9" * 100_000 + b"}",
        b'{"id":1,"connect":[]}',
        b'{"id":1,"connect":{"token":1}}',
        b'{"id":1,"connect":{"token":"\xff"}}',
        b'{"id":1,"connect":{"subs":{"a":1}}}',
        b'{"id":1,"connect":{"headers":{"a":1}}}',
        b'{"id":1,"subscribe":{"offset":-1}}',
        b'{"id":1,"subscribe":{"offset":9223372036854775808}}',
        b'{"id":1,"subscribe":{"recover":1}}',
        b'{"id":1,"history":{"limit":2147483648}}',
        b'{"id":1,"publish":{"data":nul}}',
        b'{"id":1,"publish":{"data":"\xff"}}',
        b'{"id":1,"publish":{"data":"\x01"}}',
        b'{"id":1,"publish":{"data":' + b"[" * 100_000,
        b'{"id":1,"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":1,"unknown":null,"other":' + b'{"a":' * 100_000 + b"}" * 100_001,
        b'{"id":1,"\xed\xa0\x80":1}',
    ],
)
def test_what_is_malformed_is_refused(payload: bytes) -> None:
    with pytest.raises(FormatError) as error:
        FORMAT.read(payload)
    assert 0 < len(str(error.value)) < 200


def test_what_is_null_is_not_there() -> None:
    """As for servers in Go; data stays what it is, and so does what stands within it."""
    payload = (
        b'{"id":1,"refresh":null,"connect":{"token":null,"data":{"a":null},"headers":{"x":null,"y":"z"},'
        b'"subs":{"a":{"offset":null,"data":null,"epoch":"e"},"b":null,"data":{"epoch":null}}}}'
    )
    subs = {"a": SubscribeRequest(epoch="e", data=Raw(b"null")), "data": SubscribeRequest()}
    connect = ConnectRequest(data=Raw(b'{"a":null}'), subs=subs, headers={"y": "z"})
    assert FORMAT.read(payload) == [Command(1, connect)]
    for request in ("publish", "send", "rpc"):
        (command,) = FORMAT.read(b'{"%b":{"data": null }}' % request.encode())
        assert getattr(command, request).data == Raw(b"null")
    assert FORMAT.read(b'{"id":null}') == [Command()]
    assert FORMAT.read(b'{"refresh":{"token":"null"}}') == [Command(refresh=RefreshRequest("null"))]


def test_data_is_what_the_client_has_written() -> None:
    (command,) = FORMAT.read(b'{"publish":{"channel":"a","data": { "b" : 1.50 } }}')
    assert command == Command(publish=PublishRequest("a", Raw(b'{ "b" : 1.50 }')))
    assert FORMAT.read(b'{"send":{"data":0}}') == [Command(send=SendRequest(Raw(b"0")))]


def test_a_text_that_was_cut_within_a_character_closes_no_client() -> None:
    """What is there of the character becomes U+FFFD."""
    expected = [Command(rpc=RpcRequest(Raw(rb'"\ufffd"'), "\ufffd"))]
    assert FORMAT.read(rb'{"rpc":{"method":"\ud83d","data":"\ud83d"}}') == expected
    assert FORMAT.read(rb'{"rpc":{"method":"\ud83d","data":"\ud83d"},"send":null}') == expected


def test_some_fields_are_always_there() -> None:
    """Clients read them without asking; other fields are left out when they are zero."""
    assert FORMAT.reply(1, ConnectResult("ab", "1")) == b'{"id":1,"connect":{"client":"ab","version":"1"}}'
    assert FORMAT.reply(2, SubscribeResult()) == b'{"id":2,"subscribe":{}}'
    assert FORMAT.reply(3, PublishResult()) == b'{"id":3,"publish":{}}'
    stats = b'{"id":4,"presence_stats":{"num_clients":0,"num_users":0}}'
    assert FORMAT.reply(4, PresenceStatsResult(0, 0)) == stats
    assert FORMAT.reply(5, HistoryResult([], "", 0)) == b'{"id":5,"history":{"publications":[],"epoch":"","offset":0}}'
    assert FORMAT.push("a", Unsubscribe(0, "")) == b'{"push":{"channel":"a","unsubscribe":{"code":0,"reason":""}}}'
    joined = b'{"push":{"channel":"a","join":{"info":{"user":"","client":"ab"}}}}'
    assert FORMAT.push("a", Join(ClientInfo("", "ab"))) == joined


def test_the_bytes_of_publications() -> None:
    message = Message('a"\n', b'{\n"b": 1\r\n}', Kind.BINARY)
    assert FORMAT.publication(message) == rb'{"push":{"channel":"a\"\n","pub":{"data":{"b": 1}}}}'
    message = PositionedMessage("a", b"1", position=Position("e", 2))
    assert FORMAT.publication(message) == b'{"push":{"channel":"a","pub":{"data":1,"offset":2}}}'
    message = PositionedMessage("a", b"1", position=Position("e", 1))
    assert FORMAT.publication(message) == b'{"push":{"channel":"a","pub":{"data":1,"offset":1,"epoch":"e"}}}'


@pytest.mark.parametrize("payload", [b"", b"hello\nworld", b"\xff\n", b"[" * 100_000, b'"\n"'])
def test_what_is_no_json_is_pushed_as_a_string(payload: bytes) -> None:
    assert FORMAT.data(payload) is None
    encoded = FORMAT.publication(Message("a", payload))
    assert b"\n" not in encoded
    assert json.loads(encoded)["push"]["pub"] == {"data": payload.decode(errors="replace")}

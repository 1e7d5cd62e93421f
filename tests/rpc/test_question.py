"""What the back end is asked about a call."""

from __future__ import annotations

import json

import pytest

from relay.rpc.question import body_of, headers_of
from tests.rpc.calls import CLIENT, call


def test_a_call_is_written_as_centrifugo_writes_it() -> None:
    assert json.loads(body_of(call(meta=b'{"shop": 7}'))) == {
        "client": CLIENT,
        "transport": "websocket",
        "protocol": "json",
        "encoding": "json",
        "user": "ann",
        "method": "price",
        "data": {"of": "tea"},
        "meta": {"shop": 7},
    }


def test_what_there_is_not_is_left_out() -> None:
    body = json.loads(body_of(call(user=None, data=b"", transport="sse", method="")))
    assert body == {
        "client": CLIENT,
        "transport": "sse",
        "protocol": "json",
        "encoding": "json",
        "user": "",
        "method": "",
    }


def test_json_goes_through_as_it_is() -> None:
    """Numbers that no float can hold, too."""
    for data in (b"12345678901234567890123", b'"\\u00fc\xc3\xbc"', b"null", b"[1e400]"):
        assert b'"data":' + data + b"}" in body_of(call(data=data))


@pytest.mark.parametrize("data", [b"\x00\xff", b"", b"hello"])
def test_what_is_no_json_comes_in_base64(data: bytes) -> None:
    body = json.loads(body_of(call(data=data, binary=True, protocol="protobuf")))
    assert (body["encoding"], body["protocol"]) == ("binary", "protobuf")
    expected = {b"\x00\xff": "AP8=", b"": None, b"hello": "aGVsbG8="}
    assert (body.get("b64data"), "data" in body) == (expected[data], False)


def test_a_protobuf_client_may_send_json() -> None:
    body = json.loads(body_of(call(protocol="protobuf")))
    assert (body["encoding"], body["protocol"], body["data"]) == ("json", "protobuf", {"of": "tea"})


def test_the_address_is_what_the_relay_knows_and_not_what_the_client_says() -> None:
    picked = {"X-Device": "phone", "x-forwarded-for": "127.0.0.1"}
    assert headers_of(call(headers=picked)) == {"X-Device": "phone", "X-Forwarded-For": "203.0.113.7"}
    assert headers_of(call()) == {"X-Forwarded-For": "203.0.113.7"}

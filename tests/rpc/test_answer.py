"""What the back end's answers to calls mean."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from relay.back_ends.answer_error import AnswerError
from relay.rpc.answer import read_answer
from relay.rpc_call import RpcDisconnect, RpcError


def data_of(answer: Any, *, as_json: bool = True) -> bytes:
    """Return the data of an answer."""
    return read_answer(json.dumps(answer).encode(), as_json)


def test_data_is_returned_as_it_is_but_on_one_line() -> None:
    """Replies to clients that speak JSON are separated by line breaks."""
    assert data_of({"result": {"data": {"price": 4, "of": "tea\n"}}}) == b'{"price":4,"of":"tea\\n"}'
    assert read_answer(b'{"result":\n {"data":\r\n {"price":\n  1.50}}}', True) == b'{"price":1.50}'
    assert read_answer(b'{"result": {"data": {"price":\n 4}}}', False) == b'{"price":\n 4}'
    assert data_of({"result": {"data": None}}) == b"null"
    assert data_of({"result": {"data": "\u00fc"}}) in (b'"\\u00fc"', '"ü"'.encode())


def test_there_may_be_no_data() -> None:
    assert data_of({"result": {}}) == b""
    assert data_of({"result": {}}, as_json=False) == b""
    assert data_of({"result": {"b64data": ""}, "error": None, "disconnect": None}) == b""


def test_data_in_base64_comes_first() -> None:
    assert data_of({"result": {"b64data": "AAH/"}}, as_json=False) == b"\x00\x01\xff"
    assert data_of({"result": {"b64data": "WzEsCiAyXQ==", "data": 7}}) == b"[1,2]"


def test_an_error_for_the_client() -> None:
    for given, expected in (
        ({"code": 1000, "message": "no such tea", "temporary": True}, (1000, "no such tea", True)),
        ({"code": 400}, (400, "", False)),
        ({"code": 1999, "more": 1}, (1999, "", False)),
    ):
        with pytest.raises(RpcError) as caught:
            data_of({"result": {"data": 1}, "error": given})
        assert (caught.value.code, caught.value.message, caught.value.temporary) == expected
        assert str(expected[0]) in str(caught.value)
        assert "tea" not in str(caught.value)


def test_a_client_that_is_closed() -> None:
    for given, expected in (
        ({"code": 4500, "reason": "go away"}, (4500, "go away")),
        ({"code": 3000, "reason": "ü" * 61}, (3000, "ü" * 61)),
        ({"code": 4999}, (4999, "")),
    ):
        with pytest.raises(RpcDisconnect) as caught:
            data_of({"result": {"data": 1}, "error": {"code": 1000}, "disconnect": given})
        assert (caught.value.code, caught.value.reason) == expected
        assert str(expected[0]) in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "Expected `object`"),
        (None, "Expected `object`"),
        ("s3cret", "Expected `object`"),
        ({}, "neither result nor error nor disconnect"),
        ({"data": {"price": 4}}, "neither result nor error nor disconnect"),
        ({"result": None}, "neither result nor error nor disconnect"),
        ({"result": 4}, "$.result"),
        ({"result": {"b64data": 4}}, "$.result.b64data"),
        ({"result": {"b64data": "s3cret"}}, "b64data is no base64"),
        ({"result": {"b64data": "\u00fc"}}, "b64data is no base64"),
        ({"result": {"b64data": "AAH/"}}, "b64data is no JSON"),
        ({"result": {"b64data": "Ils="}}, "b64data is no JSON"),
        ({"error": "s3cret"}, "$.error"),
        ({"error": {}}, "the code of an error must be 400 to 1999"),
        ({"error": {"code": 399}}, "the code of an error must be 400 to 1999"),
        ({"error": {"code": 2000}}, "the code of an error must be 400 to 1999"),
        ({"error": {"code": 10**30}}, "the code of an error must be 400 to 1999"),
        ({"error": {"code": 1000.5}}, "$.error.code"),
        ({"error": {"code": 1000, "temporary": 1}}, "$.error.temporary"),
        ({"disconnect": {"code": 2999}}, "the code of a disconnect must be 3000 to 4999"),
        ({"disconnect": {"code": 5000}}, "the code of a disconnect must be 3000 to 4999"),
        ({"disconnect": {"code": "4500"}}, "$.disconnect.code"),
        ({"disconnect": {"code": 4500, "reason": "ü" * 62}}, "at most 123 bytes"),
    ],
)
def test_answers_that_can_not_be_used(answer: Any, words: str) -> None:
    with pytest.raises(AnswerError) as caught:
        data_of(answer)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        b"\xff\xfe",
        b'{"result": {"data": "\xff"}}',
        b'{"result": {"data": "\\ud800"}}',
        b'{"result": {"data": [1,]}}',
        b'{"result": {"data": NaN}}',
        b'{"result": {"data": 1}} {}',
        b'{"result": {"data": ' + b"[" * 60_000,
        b"[" * 60_000,
    ],
    ids=lambda body: repr(body[:30]) if isinstance(body, bytes) else None,
)
def test_answers_that_are_no_json(body: bytes, as_json: bool) -> None:
    with pytest.raises(AnswerError):
        read_answer(body, as_json)


@pytest.mark.parametrize("inner", ["IsMo", "//8=", "Ww=="], ids=["half a letter", "no text", "half"])
def test_a_client_that_speaks_json_gets_nothing_else(inner: str) -> None:
    with pytest.raises(AnswerError):
        data_of({"result": {"b64data": inner}})
    assert data_of({"result": {"b64data": inner}}, as_json=False)


def test_json_that_is_nested_without_end_is_no_fault_of_the_program() -> None:
    with pytest.raises(AnswerError):
        data_of({"result": {"b64data": b64encode(b"[" * 60_000).decode()}})

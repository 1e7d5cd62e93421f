"""What is JSON that can stand within other JSON, on one line."""

from __future__ import annotations

import json
import re
import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.protocols.centrifuge.json_payload import json_payload, json_string, without_halves
from tests.harness.examples import examples
from tests.protocols.centrifuge.strategies import JSON_VALUES


def loads(text: bytes) -> object:
    """Return what Python's own reader makes of JSON, which is as strict as that of browsers but for three words."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text.decode(), parse_constant=refuse)


@given(value=JSON_VALUES, indent=st.sampled_from([None, 0, 2, "\t"]), ascii_=st.booleans())
def test_json_stays_what_it_is_and_gets_one_line(value: object, indent: int | str | None, ascii_: bool) -> None:
    payload = json.dumps(value, indent=indent, ensure_ascii=ascii_).encode()
    for text in (payload, payload.replace(b"\n", b"\r\n")):
        embedded = json_payload(text)
        assert embedded is not None
        assert loads(embedded) == value
        assert not set(embedded) & set(b"\r\n")


@given(value=JSON_VALUES)
def test_json_on_one_line_is_not_touched(value: object) -> None:
    payload = json.dumps(value).encode()
    assert json_payload(payload) is payload


@examples(300)
@given(value=JSON_VALUES, data=st.data())
def test_nothing_is_taken_for_json_that_another_reader_refuses(value: object, data: st.DataObject) -> None:
    """Nor the other way round, but for what is too deep."""
    payload = bytearray(json.dumps(value, ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(payload)))
        part = st.binary(max_size=2) | st.sampled_from(
            [b"\n", b"\r", b'"', b"\\", b"\\ud83d", b"\\ude00", b"null", b"-", b"NaN"]
        )
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(part)
    try:
        expected = loads(bytes(payload))
    except ValueError:
        assert json_payload(bytes(payload)) is None
        return
    embedded = json_payload(bytes(payload))
    assert embedded is not None
    assert not set(embedded) & set(b"\r\n")
    assert loads(embedded) == loads(json.dumps(expected).encode("utf-8")) or b"\\u" in payload
    loads(b'{"push":{"pub":{"data":' + embedded + b"}}}")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"hello",
        b"NaN",
        b"-Infinity",
        b"01",
        b"1.",
        b"1\n2",
        b'"a\nb"',
        b'"a\rb"',
        b'"a\tb"',
        b'"\x00"',
        b'"\xff"',
        b'{"\xff":1}',
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"\\ud8"',
        b'"\\ud8zz"',
        b"\xef\xbb\xbf1",
        b"{}}",
        b'{"a":1}{"b":2}',
        b'{"a":1,}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"\x00",
    ],
)
def test_what_is_no_json_or_too_deep_is_not_embedded(payload: bytes) -> None:
    assert json_payload(payload) is None


def test_halves_of_characters_become_one_that_all_readers_take() -> None:
    """JavaScript cuts text within characters."""
    assert json_payload(rb'"\ud83d"') == rb'"\ufffd"'
    assert json_payload(rb'["\ud83d\ude00","\ude00\ud83dx"]') == rb'["\ud83d\ude00","\ufffd\ufffdx"]'
    assert without_halves(rb'"\\ud83d \"\ud83d\ud83d\ude00"') == rb'"\\ud83d \"\ufffd\ud83d\ude00"'


_ESCAPE = re.compile(r"\\(?:ud8..\\ude..|(ud[8e]..)|.)", re.DOTALL)


@given(
    text=st.lists(st.sampled_from(["\\", "\\\\", "\\n", "\\ud83d", "\\ude00", "ud83d", "\\u0020", "x", "\\"])).map(
        "".join
    )
)
def test_what_is_half_of_a_character_is_read_from_the_left(text: str) -> None:
    expected = _ESCAPE.sub(lambda escape: escape[0] if escape[1] is None else r"\ufffd", text)
    assert without_halves(text.encode()) == expected.encode()


@pytest.mark.parametrize("text", [b"\\" * 1000, b'"\\ud83d' + b"\\n" * 1000 + b'"', b"\\ud83d" * 1000])
def test_no_escape_sequence_costs_a_call(text: bytes) -> None:
    """A message of 1 MiB has half a million, and everybody else waits meanwhile."""
    without_halves(text)  # compiles what is compiled once
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        without_halves(text)
    finally:
        sys.setprofile(before)
    assert calls < 20


@given(payload=st.binary(max_size=20))
def test_what_is_no_json_can_become_a_string(payload: bytes) -> None:
    assert json.loads(json_string(payload)) == payload.decode(errors="replace")
    assert b"\n" not in json_string(payload)

"""Requests by which clients speak whose connection carries only what they are told."""

from __future__ import annotations

import json

import pytest
from centrifuge.protocol import client_pb2 as official
from hypothesis import given
from hypothesis import strategies as st

from relay.protocols.centrifuge.emulation import EmulationRequest, read_json, read_protobuf
from relay.protocols.centrifuge.formats import FormatError
from relay.protocols.centrifuge.unidirectional_format import UNIDIRECTIONAL, read_connect

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@given(TEXT, TEXT, TEXT, st.booleans())
def test_json(session: str, node: str, data: str, escaped: bool) -> None:
    body = json.dumps({"session": session, "node": node, "data": data, "more": [1]}, ensure_ascii=escaped)
    assert read_json(body.encode()) == EmulationRequest(session, node, data.encode())


@given(TEXT, TEXT, st.binary(max_size=20))
def test_protobuf_of_the_official_schema(session: str, node: str, data: bytes) -> None:
    body = official.EmulationRequest(session=session, node=node, data=data).SerializeToString()
    assert read_protobuf(body) == EmulationRequest(session, node, data)


@given(st.binary() | TEXT.map(str.encode))
def test_anything_else_is_malformed_and_nothing_but_that(body: bytes) -> None:
    for read in (read_json, read_protobuf, read_connect):
        try:
            read(body)
        except FormatError:
            continue


@given(st.binary() | TEXT.map(str.encode))
def test_a_client_that_only_listens_says_one_thing_at_most(body: bytes) -> None:
    try:
        (command,) = UNIDIRECTIONAL.read(body)
    except FormatError:
        return
    assert command.connect is not None


@pytest.mark.parametrize("trick", [b'{}}\n{"id":2,"subscribe":{"channel":"a"}', b"{}\n{}", b"{} {}"])
def test_no_second_command_can_be_smuggled_in(trick: bytes) -> None:
    with pytest.raises(FormatError):
        UNIDIRECTIONAL.read(trick)

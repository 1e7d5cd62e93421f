"""How payloads stand in streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from centrifuge.protocol import client_pb2
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from relay.member import Member, PresenceEvents
from relay.message import Message, PositionedMessage
from relay.position import Position
from relay.protocols.centrifuge import framings
from relay.protocols.centrifuge.pushes import Disconnect
from relay.protocols.centrifuge.results import PublishResult
from relay.protocols.centrifuge.wire import Wire
from tests.harness.event_source import EventParser
from tests.harness.whole_frames import frames_of


def lines(data: bytes) -> list[Any]:
    """Return what stands on lines."""
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data[:-1].split(b"\n")]


def events(data: bytes) -> list[Any]:
    """Return what stands in events."""
    return [json.loads(event.data) for event in EventParser().feed(b"\r\n" + data)]


def frames(data: bytes) -> list[Any]:
    """Return what stands in frames."""
    return [json.loads(payload) for _, payload in frames_of(data)]


def delimited(data: bytes) -> list[Any]:
    """Return what stands behind lengths."""
    at, found = 0, []
    while at < len(data):
        size, at = _DecodeVarint32(data, at)
        found.append(client_pb2.Reply.FromString(data[at : at + size]))
        at += size
    return found


WIRES: list[tuple[Callable[[], Wire], Callable[[bytes], list[Any]]]] = [
    (framings.json_lines, lines),
    (framings.json_events, events),
    (framings.protobuf_stream, delimited),
    (framings.unidirectional_lines, lines),
    (framings.unidirectional_events, events),
    (framings.unidirectional_frames, frames),
]

all_wires = pytest.mark.parametrize(("make", "read"), WIRES, ids=[make.__name__ for make, _ in WIRES])

VALUES = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@all_wires
@given(st.lists(st.tuples(VALUES, st.integers(0, 3)), min_size=1, max_size=5))
def test_publications_can_be_joined(
    make: Callable[[], Wire], read: Callable[[bytes], list[Any]], drawn: list[tuple[Any, int]]
) -> None:
    wire = make()
    messages = [
        PositionedMessage("ä", json.dumps(value, indent=1).encode(), position=Position("e", offset))
        if offset
        else Message("ä", json.dumps(value).encode())
        for value, offset in drawn
    ]
    encoded = [wire.encode(message) for message in messages]
    found = read(b"".join(encoded))
    if read is delimited:
        assert [json.loads(reply.push.pub.data) for reply in found] == [value for value, _ in drawn]
        assert {reply.push.channel for reply in found} == {"ä"}
        return
    pushes = [one.get("push", one) for one in found]
    assert all(("push" in one) is (make in (framings.json_lines, framings.json_events)) for one in found)
    assert [(push["channel"], push["pub"]["data"]) for push in pushes] == [("ä", value) for value, _ in drawn]
    assert [push["pub"].get("offset", 0) for push in pushes] == [offset for _, offset in drawn]


@all_wires
def test_whatever_is_published_stays_in_its_place(make: Callable[[], Wire], read: Callable[[bytes], list[Any]]) -> None:
    wire = make()
    for payload in (
        b"",
        b"\n\n",
        b"\r\n",
        b"data: x\n\n",
        b"\xff\n",
        b'"\n"',
        b'["a",\r\n\n"b"]',
        b"\0",
        b"x" * 70_000,
    ):
        assert len(read(wire.encode(Message("a", payload)))) == 1
        strictly = wire.encode_strictly(Message("a", payload))
        assert not strictly or len(read(strictly)) == 1


@all_wires
def test_several_pushes_at_once_are_told_apart(make: Callable[[], Wire], read: Callable[[bytes], list[Any]]) -> None:
    wire = make()
    joined = PresenceEvents("a", [Member("1", "ann"), Member("2", "bob")], [Member("3", None)])
    assert len(read(wire.join_leave.encode(joined))) == 3
    assert len(read(wire.ping)) == 1
    assert len(read(wire.push("", Disconnect(3000, "x")))) == 1


@pytest.mark.parametrize(("make", "read"), WIRES[:3])
def test_a_reply_stands_alone(make: Callable[[], Wire], read: Callable[[bytes], list[Any]]) -> None:
    (reply,) = read(make().reply(7, PublishResult()))
    assert (reply["id"] if isinstance(reply, dict) else reply.id) == 7


def test_each_kind_of_clients_has_an_encoder_of_its_own() -> None:
    """It groups the fan-out: a message is encoded once for all of them."""
    assert len({make().encode for make, _ in WIRES}) == len(WIRES)
    for make, _ in WIRES:
        assert make().encode is make().encode

"""Events as the command reads them, held against what the relay writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.errors import Disconnect
from relay.message import Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols import sse
from relay.sdk.event_reader import Event, EventReader

payloads = st.one_of(st.text(st.one_of(st.sampled_from("\n\r :"), st.characters(codec="utf-8"))), st.binary())


@given(st.lists(payloads, max_size=4), st.integers(1, 50))
def test_what_is_read_is_what_was_published_however_it_is_cut(sent: list[str | bytes], size: int) -> None:
    stream = b"retry: 1234\n\nid: e:0\n\n" + sse.HEARTBEAT
    for offset, payload in enumerate(sent, 1):
        kind, data = (Kind.TEXT, payload.encode()) if isinstance(payload, str) else (Kind.BINARY, payload)
        stream += sse.encode(PositionedMessage("a", data, kind, position=Position("e", offset))) + sse.HEARTBEAT
    reader = EventReader()
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    events = [event for piece in pieces for event in reader.feed(piece)]
    assert events.pop(0) == Event("", "", "e:0")
    assert [(event.message, event.position) for event in events] == [
        (payload, f"e:{offset}") for offset, payload in enumerate(sent, 1)
    ]


def test_what_is_no_message_is_told_apart() -> None:
    reader = EventReader()
    (event,) = reader.feed(sse.ServerSentEvents("a").closing(Disconnect.GOING_AWAY).last)
    assert event == Event("close", '{"code":1001,"reason":"going away"}')
    assert event.message is None
    assert reader.feed(sse.encode(Message("a", b"hello"))) == [Event("message", "hello")]


@given(st.integers(1, 3000))
def test_a_message_that_is_too_big_is_found_before_it_is_whole(size: int) -> None:
    reader = EventReader(max_message_bytes=1000)
    stream = sse.encode(Message("a", b"hello")) + b"data: " + bytes(20_000) + b"\n\ndata: behind\n\n"
    events, fed = [], 0
    while reader.too_big is None:
        events += reader.feed(stream[fed : fed + size])
        fed += size
    assert events == [Event("message", "hello")]
    assert fed < 6000 + 2 * size


@given(st.one_of(st.binary(max_size=1000), st.text(st.sampled_from("a\n\r"), max_size=1000)))
def test_a_message_of_the_largest_size_is_not_too_big(sent: str | bytes) -> None:
    kind, data = (Kind.TEXT, sent.encode()) if isinstance(sent, str) else (Kind.BINARY, sent)
    reader = EventReader(max_message_bytes=len(data))
    (event,) = reader.feed(sse.encode(PositionedMessage("a", data, kind, position=Position("e" * 64, 2**53 - 1))))
    assert (event.message, reader.too_big) == (sent, None)

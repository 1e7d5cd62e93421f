"""A stream of server-sent events is parsed as browsers do, in whatever pieces it comes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.generator import event_parser as module
from relay.loadtest.generator.event_parser import EventParser, StreamEvent
from relay.loadtest.generator.frame_codec import RemoteProtocolError

STREAM = (
    b"retry: 1000\n\nid: e:7\n\nid: e:8\ndata: a\ndata:b\n\n:\n\nevent: missed\ndata: {}\r\n\r\ndata: c\nid: e:9\n\n"
)
EVENTS = [
    StreamEvent(b"message", b"a\nb", "e:8", True),
    StreamEvent(b"missed", b"{}", "e:8", False),
    StreamEvent(b"message", b"c", "e:9", True),
]


@given(st.lists(st.integers(0, len(STREAM))))
def test_a_stream_is_the_same_in_any_pieces(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    pieces = (STREAM[begin:end] for begin, end in pairwise(places))
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS
    assert parser.position == "e:9"


def test_a_block_without_data_moves_the_position_once_it_has_ended() -> None:
    """So the stream begins: nothing has come, and a client can come back all the same."""
    parser = EventParser()
    assert parser.feed(b"id: e:7\n") == []
    assert parser.position == ""
    assert parser.feed(b"\n") == []
    assert parser.position == "e:7"


@pytest.mark.parametrize("line", [b"id: e\0\n", b"unknown: e:2\n", b": e:2\n", b"data\n"])
def test_what_is_no_position_is_none(line: bytes) -> None:
    parser = EventParser()
    parser.feed(b"id: e:1\n\n" + line + b"\n")
    assert parser.position == "e:1"


@pytest.mark.parametrize("stream", [b"x" * 200, b"data: x\n" * 20])
def test_an_event_without_an_end_is_not_kept_for_ever(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENT_BYTES", 100)
    with pytest.raises(RemoteProtocolError, match="endless event"):
        EventParser().feed(stream)

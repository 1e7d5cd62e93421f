"""What is in a frame: messages of this run or not, and what a dialect says about all others."""

from __future__ import annotations

import pytest

from relay.loadtest.generator.chunk import AnswerNeeded, Event, FaultyFrame, Ready
from relay.loadtest.generator.payload import MessageHeader, encode_payload, filler
from relay.loadtest.result.faults import Fault
from tests.harness.raw_websocket import TEXT
from tests.loadtest.generator.test_chunk_decoder import RUN, SIZE, decoder, frame, payload


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (payload(0, run=0x123456), "of run 123456: rly:"),
        (payload(0, channel=1), "publisher 0 is not in channel 1"),
        (encode_payload(MessageHeader(RUN, 9, 0, 0, 0, 0), filler(SIZE)), "publisher 9 is not in channel 0"),
        (payload(0)[:-1] + b"?", "damaged: rly:"),
        (payload(0)[:-1], "damaged: rly:"),
        (payload(0)[:47], "damaged: rly:"),
        (b"rly:", "damaged: rly:"),
    ],
)
def test_a_message_of_elsewhere_is_foreign_and_not_counted(content: bytes, text: str) -> None:
    decode = decoder().decode(frame(TEXT, content))
    assert (decode.runs, decode.dues) == ([], [])
    (event,) = decode.events
    assert isinstance(event, FaultyFrame)
    assert event.fault is Fault.FOREIGN
    assert event.text.startswith(text)


@pytest.mark.parametrize(
    "content", [payload(0) + b"!", b" " + payload(0), payload(0) + payload(1)], ids=["behind", "before", "two"]
)
def test_a_frame_with_more_than_the_message_is_foreign_where_payloads_are_bare(content: bytes) -> None:
    decode = decoder().decode(frame(TEXT, content))
    assert decode.runs[0][:2] == (0, 0)
    (event,) = decode.events
    assert isinstance(event, FaultyFrame)
    assert (event.fault, event.text[:20]) == (Fault.FOREIGN, "more than was sent: ")


def test_a_frame_may_hold_several_messages_where_servers_wrap_them() -> None:
    wrapped = b'{"a":"%s"}\n{"b":"%s","c":"%s"}' % (payload(0), payload(1), payload(0, 1))
    decode = decoder(publish='{"data":"{payload}"}').decode(frame(TEXT, wrapped))
    assert sorted(decode.runs) == [(0, 0, 1), (1, 0, 0)]
    assert decode.events == []


CHATTY = {
    "publish": "<{payload}>",
    "ready": "^welcome",
    "answers": (("^ping", "pong"), ("^pi", "po")),
    "ignore": ("^news", "^welcome$"),
}


@pytest.mark.parametrize(
    ("content", "events"),
    [
        (b"ping?", [AnswerNeeded(0), AnswerNeeded(1)]),
        (b"pi", [AnswerNeeded(1)]),
        (b"welcome!", [Ready()]),
        (b"welcome", [Ready()]),
        (b"news of today", []),
        (b"old news", [FaultyFrame(Fault.UNEXPECTED, "old news")]),
        ("schön".encode(), [FaultyFrame(Fault.UNEXPECTED, "schön")]),
        (b"\xff\x00", [FaultyFrame(Fault.UNEXPECTED, "\\xff\x00")]),
    ],
)
def test_a_frame_without_a_message_is_met_as_the_dialect_says(content: bytes, events: list[Event]) -> None:
    assert decoder(**CHATTY).decode(frame(TEXT, content)).events == events


def test_lines_are_known_again_in_other_company() -> None:
    """A server that batches writes other frames to each client, of lines that all of them get."""
    several = decoder(publish="<{payload}>")
    one, two, three = (b"<%s>" % payload(sequence) for sequence in range(3))
    frames = [frame(TEXT, b"\n".join(lines)) for lines in ([one, two], [three], [one], [two, three])]
    assert [several.decode(data).runs for data in frames] == [[(0, 0, 1)], [(0, 2, 2)], [(0, 0, 0)], [(0, 1, 2)]]
    assert several.decode(b"".join(frames)).runs == [(0, 0, 2), (0, 0, 2)]


def test_only_a_frame_whose_lines_say_nothing_at_all_is_unexpected() -> None:
    envelope = b"MESSAGE\nid:7\n\n" + payload(0)
    assert decoder(publish="<{payload}>").decode(frame(TEXT, envelope)).events == []
    assert decoder(publish="<{payload}>").decode(frame(TEXT, b"MESSAGE\nid:7")).events == [
        FaultyFrame(Fault.UNEXPECTED, "MESSAGE\nid:7")
    ]


def test_a_message_without_a_frame_is_decoded_once_and_collected() -> None:
    """So it comes over other ways than a WebSocket."""
    made = decoder()
    chunk = made.recall_message(payload(3))
    assert (chunk.runs, chunk.events) == ([(0, 3, 3)], [])
    assert len(chunk.dues) == len(chunk.lags) == 1
    assert made.recall_message(payload(3)) is chunk
    (event,) = made.recall_message(b"what?").events
    assert event == FaultyFrame(Fault.UNEXPECTED, "what?")
    assert made.collect()[0] is chunk
    assert made.recall_message(payload(3)) is not chunk

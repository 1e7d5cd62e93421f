"""Events as a reader of the format sees them."""

from __future__ import annotations

import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import CustomDisconnect, Refused
from relay.member import Member, PresenceEvents
from relay.message import Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols import sse
from relay.protocols.request import parse_request
from relay.replay import MAX_NEWEST, Replay, Resume
from tests.harness.event_source import Event, EventParser
from tests.protocols.recording import RecordingSession

# Line ends, and what has a meaning in the format, more often than by chance.
texts = st.text(st.one_of(st.sampled_from("\n\r :\ufeff\0\u2028\x85\x0b\x0c"), st.characters(codec="utf-8")))
payloads = st.one_of(texts, st.sampled_from(["data: x", ": x", "\nevent: x\n\n", "id: 1"]), st.binary())


def message(payload: str | bytes) -> Message:
    """Return a message of the kind of its payload."""
    return Message("a", payload.encode(), Kind.TEXT) if isinstance(payload, str) else Message("a", payload, Kind.BINARY)


@given(st.lists(payloads, max_size=4))
@example(["", b"", "\n", "\r", "\r\n", " ", "\ufeff"])
def test_what_a_reader_gets_is_the_message_however_it_is_cut(sent: list[str | bytes]) -> None:
    stream = b"retry: 1234\n\n" + sse.HEARTBEAT.join(sse.encode(message(payload)) for payload in sent) + sse.HEARTBEAT
    whole, cut = EventParser(), EventParser()
    events = whole.feed(stream)
    assert [event.payload for event in events] == sent
    assert [event for byte in stream for event in cut.feed(bytes([byte]))] == events
    assert whole.retry == cut.retry == 1234


@pytest.mark.parametrize(
    ("payload", "encoded"),
    [
        ("hello", b"data: hello\n\n"),
        (" two\nlines", b"data:  two\ndata: lines\n\n"),
        ("", b"data: \n\n"),
        ("a\r\nb", b"event: text\ndata: YQ0KYg==\n\n"),
        (b"\x00\x01", b"event: binary\ndata: AAE=\n\n"),
    ],
)
def test_events_are_written_as_documented(payload: str | bytes, encoded: bytes) -> None:
    assert sse.encode(message(payload)) == encoded


@given(st.text(st.sampled_from("\nab"), max_size=20_000))
@example("\n" * 65_536)
def test_no_text_grows_by_much_more_than_base64_would(text: str) -> None:
    """Else a few messages of line ends would fill the buffers of all who read them."""
    assert len(sse.encode(message(text))) <= len(text) * 4 / 3 + 1100


def test_an_ordinary_text_of_many_lines_is_sent_as_lines() -> None:
    log = "\n".join(f"{number:020}" for number in range(3000))
    assert EventParser().feed(sse.encode(message(log))) == [Event("message", log)]


def test_a_farewell_is_an_event_of_its_own() -> None:
    (event,) = EventParser().feed(sse.ServerSentEvents("a").closing(CustomDisconnect(1013, 'slow "consumer"')).last)
    assert event == Event("close", '{"code":1013,"reason":"slow \\"consumer\\""}')


@pytest.mark.parametrize(
    ("target", "channel"), [("/sse", "lobby"), ("/sse/", "lobby"), ("/sse/a/b?echo=7", "a/b"), ("/sse/%C3%A9", "é")]
)
def test_the_path_names_the_channel(target: str, channel: str) -> None:
    assert sse.open_session(parse_request(target, {}, ""), "lobby").channel == channel


@pytest.mark.parametrize(("target", "status"), [("/ssex", 404), ("/", 404), ("/sse/a%20b", 400), ("/sse/%", 400)])
def test_other_paths_are_refused(target: str, status: int) -> None:
    with pytest.raises(Refused) as caught:
        sse.open_session(parse_request(target, {}, ""), "lobby")
    assert caught.value.status == status


def positioned(payload: str, offset: int) -> PositionedMessage:
    """Return a message with a position."""
    return PositionedMessage("a", payload.encode(), position=Position("e", offset))


def opened(resume: Resume, replay: Replay | None) -> tuple[list[Event], str]:
    """Return the events with which a stream begins, and what a browser would send after them."""
    protocol, session, parser = sse.ServerSentEvents("a", resume), RecordingSession(), EventParser()
    return parser.feed(protocol.opened(session, None) + protocol.resumed(session, replay)), parser.last_id


@given(st.lists(texts, max_size=4))
def test_an_event_has_the_position_of_its_message_as_its_id(sent: list[str]) -> None:
    messages = [positioned(text, offset) for offset, text in enumerate(sent)]
    events = EventParser().feed(b"".join(map(sse.encode, messages)))
    assert [event.payload for event in events] == sent
    assert [event.last_id for event in events] == [f"e:{offset}" for offset in range(len(sent))]


def test_an_event_without_a_position_leaves_the_last_one_as_it_was() -> None:
    """A bare PUBLISH on Redis brings messages without positions into any channel."""
    mixed = [message("before"), positioned("one", 1), message("between"), positioned("two", 2), message("behind")]
    events = EventParser().feed(b"".join(map(sse.encode, mixed)))
    assert [event.last_id for event in events] == ["", "e:1", "e:1", "e:2", "e:2"]
    assert [event.payload for event in events] == ["before", "one", "between", "two", "behind"]


def test_a_stream_begins_with_the_position_of_its_first_message() -> None:
    """A connection that breaks before the first event goes on there."""
    assert opened(0, Replay(Position("e", 7))) == ([], "e:7")
    assert opened(Position("e", 7), Replay(Position("e", 7))) == ([], "e:7")
    assert sse.ServerSentEvents("a").resumed(RecordingSession(), Replay(Position("e", 7))) == b"id: e:7\n\n"
    replay = Replay(Position("e", 7), [positioned("six", 6), positioned("seven", 7)])
    assert sse.ServerSentEvents("a").resumed(RecordingSession(), replay).startswith(b"id: e:5\n\n")
    assert opened(2, replay) == ([Event("message", "six", "e:6"), Event("message", "seven", "e:7")], "e:7")


def test_who_may_have_missed_messages_is_told_and_where_the_stream_goes_on() -> None:
    told = Event("missed", '{"position":"e:9"}', "e:9")
    assert opened(Position("e", 7), Replay(Position("e", 9), recovered=False)) == ([told], "e:9")
    (event,) = EventParser().feed(sse.ServerSentEvents("a").missed(RecordingSession(), "a", Position("e", 9)))
    assert event == told


def test_a_channel_that_counts_its_messages_no_longer_cannot_say_what_was_missed() -> None:
    """Its options have changed since the position was told."""
    told = Event("missed", '{"position":null}')
    assert opened(Position("e", 7), None) == ([told], "")
    assert opened(0, None) == ([], "")
    assert EventParser().feed(sse.ServerSentEvents("a").missed(RecordingSession(), "a", None)) == [told]


@pytest.mark.parametrize(
    ("target", "header", "resume"),
    [
        ("/sse/a", None, 0),
        ("/sse/a?history=20", None, 20),
        ("/sse/a?history=999999999", None, MAX_NEWEST),
        ("/sse/a?history=20", "e:7", Position("e", 7)),
        ("/sse/a?last_event_id=e:6", None, Position("e", 6)),
        ("/sse/a?last_event_id=e%3A6&history=20", None, Position("e", 6)),
        ("/sse/a?last_event_id=e:6", "e:7", Position("e", 7)),
        ("/sse/a?last_event_id=", "", 0),
    ],
)
def test_what_a_client_wants_of_the_messages_before(target: str, header: str | None, resume: Resume) -> None:
    headers = {} if header is None else {"Last-Event-ID": header}
    assert sse.open_session(parse_request(target, headers, ""), "lobby").resume == resume


@pytest.mark.parametrize("position", ["7", "e:", ":7", "e:-1", "e:07", "e:9007199254740992", "e:7\n", "é:7", "e:7:8"])
def test_a_malformed_position_is_refused_with_the_rule(position: str) -> None:
    for target, headers in ((f"/sse/a?last_event_id={quote(position)}", {}), ("/sse/a", {"Last-Event-ID": position})):
        with pytest.raises(Refused, match="a position is EPOCH:OFFSET") as caught:
            sse.open_session(parse_request(target, headers, ""), "lobby")
        assert caught.value.status == 400


@pytest.mark.parametrize("number", ["", "-1", "all", "1.5", "1e3", "9999999999"])
def test_a_history_that_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(Refused, match="history must be a number") as caught:
        sse.open_session(parse_request(f"/sse/a?history={number}", {}, ""), "lobby")
    assert caught.value.status == 400


def test_who_has_gone_and_who_has_come_is_an_event_each() -> None:
    wire_format = sse.WatchingEvents("a").presence
    ann, guest = Member("1", "ann", msgspec.Raw(b'{"a":\n[1,\r\n2]}')), Member("2")
    told = wire_format.encode(PresenceEvents("a", left=[guest], joined=[ann, guest]))
    events = EventParser().feed(wire_format.begun + told)
    assert [(event.kind, json.loads(event.data)) for event in events] == [
        ("watching", {}),
        ("leave", {"client": "2", "user": None, "info": None}),
        ("join", {"client": "1", "user": "ann", "info": {"a": [1, 2]}}),
        ("join", {"client": "2", "user": None, "info": None}),
    ]
    assert sse.ServerSentEvents("a").presence is None


@pytest.mark.parametrize(
    ("asked", "watches"), [("", False), ("?join_leave=0", False), ("?join_leave=1&history=3", True)]
)
def test_who_comes_and_who_goes_is_told_to_those_who_ask(asked: str, watches: bool) -> None:
    opened = sse.open_session(parse_request(f"/sse/a{asked}", {}, ""), "lobby")
    assert (opened.presence is not None) == watches

"""Events as a reader of the format sees them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import CustomDisconnect, Refused
from relay.message import Kind, Message
from relay.protocols import sse
from relay.protocols.request import parse_request
from tests.harness.event_source import Event, EventParser

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

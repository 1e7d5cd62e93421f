"""What a poll asks for, and the messages that wait for it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import Refused
from relay.message import Kind, Message, PositionedMessage
from relay.position import Position
from relay.protocols import CloseMessage
from relay.protocols.poll import Backlog, Cursor, Poll, encode, last_position, open_session
from relay.protocols.request import parse_request

TOKEN = "abcdefghijklmnopqrstuv"


def asked(target: str) -> Poll:
    """Return what a target asks for."""
    return open_session(parse_request(target, {}, ""), "lobby")


def payload_of(element: dict[str, str]) -> str | bytes:
    """Return the message that an element of an answer stands for."""
    return element["text"] if element["kind"] == "text" else base64.b64decode(element["base64"], validate=True)


@given(st.lists(st.one_of(st.text(st.characters(codec="utf-8")), st.binary()), max_size=5))
def test_an_answer_holds_the_messages(sent: list[str | bytes]) -> None:
    backlog = Backlog(1_000_000)
    for payload in sent:
        kind, data = (Kind.TEXT, payload.encode()) if isinstance(payload, str) else (Kind.BINARY, payload)
        backlog.add(encode(Message("a", data, kind)))
    answer = json.loads(backlog.answer(TOKEN))
    assert [payload_of(element) for element in answer["messages"]] == sent
    assert answer["cursor"] == f"{TOKEN}.{len(sent)}"
    assert answer["missed"] is False
    assert "closed" not in answer


def test_a_text_that_is_none_does_not_break_the_answer() -> None:
    """Another program on the bus may claim that anything is a text."""
    assert json.loads(encode(Message("a", b"a\xff", Kind.TEXT))[:-1]) == {"kind": "text", "text": "a\ufffd"}


def test_the_end_of_a_subscription_is_told() -> None:
    answer = json.loads(Backlog(100).answer(TOKEN, CloseMessage(1001, "going away")))
    assert answer["closed"] == {"code": 1001, "reason": "going away"}


@given(st.lists(st.one_of(st.integers(0, 6), st.just("add"), st.just("gap"))))
def test_what_is_not_confirmed_is_given_again(steps: list[int | str]) -> None:
    """Held against a list that forgets nothing."""
    backlog, first = Backlog(1_000_000), 0
    everything: list[int | None] = []
    for number, step in enumerate(steps):
        if step == "add":
            assert backlog.add(b"%d," % number)
            everything.append(number)
        elif step == "gap":
            if not everything[first:] or everything[-1] is not None:
                everything.append(None)
            backlog.add_gap()
        elif isinstance(step, int):
            valid = first <= step <= len(everything)
            assert backlog.confirm(step) is valid
            first = step if valid else first
        kept = everything[first:]
        answer = json.loads(backlog.answer(TOKEN))
        assert answer["messages"] == [piece for piece in kept if piece is not None]
        assert answer["missed"] is (None in kept)
        assert answer["cursor"] == f"{TOKEN}.{len(everything)}"
        assert (len(backlog), backlog.end) == (len(kept), len(everything))


def test_a_backlog_has_room_up_to_its_limit_and_always_for_one_piece() -> None:
    backlog = Backlog(10)
    assert backlog.add(b"x" * 50)
    assert not backlog.add(b"x")
    assert backlog.confirm(1)
    assert backlog.add(b"x" * 6)
    assert backlog.add(b"x" * 4)
    assert not backlog.add(b"x")
    assert backlog.confirm(2)
    assert backlog.add(b"x" * 6)


def test_a_poll_is_read() -> None:
    assert asked("/poll") == Poll("lobby", 25.0, None)
    assert asked("/poll/a/b?wait=0") == Poll("a/b", 0.0, None)
    assert asked(f"/poll/a?wait=1.5&cursor={TOKEN}.7") == Poll("a", 1.5, Cursor(TOKEN, 7))
    assert str(Cursor(TOKEN, 7)) == f"{TOKEN}.7"
    assert asked("/poll/a?history=20").resume == 20
    there = asked("/poll/a?cursor=e%3A7&history=20")
    assert there.cursor == there.resume == Position("e", 7)
    assert asked(f"/poll/a?cursor={TOKEN}.7").resume == 0


@given(st.lists(st.tuples(st.one_of(st.text(), st.binary()), st.integers(1, 2**53 - 1)), min_size=1, max_size=4))
@example([('","position":"x:1"},{"kind":"', 5)])
def test_the_position_of_the_last_element_is_found(sent: list[tuple[str | bytes, int]]) -> None:
    """Whatever stands in the messages."""
    elements = b""
    for payload, offset in sent:
        kind, data = (Kind.TEXT, payload.encode()) if isinstance(payload, str) else (Kind.BINARY, payload)
        elements += encode(PositionedMessage("a", data, kind, position=Position("e", offset)))
    told = json.loads(b"[" + elements[:-1] + b"]")
    assert [element["position"] for element in told] == [f"e:{offset}" for _, offset in sent]
    assert last_position(elements) == Position("e", sent[-1][1])


def test_the_position_of_the_last_element_that_has_one_is_found() -> None:
    """A bare PUBLISH on Redis brings messages without positions into any channel."""
    counted = encode(PositionedMessage("a", b"one", position=Position("e", 7)))
    plain = encode(Message("a", b'","position":"x:1"},'))
    assert last_position(counted + plain) == last_position(plain + counted) == Position("e", 7)
    assert last_position(counted + plain + plain + encode(Message("a", b"\0", Kind.BINARY))) == Position("e", 7)
    assert last_position(plain + plain) is None


def test_an_element_of_a_channel_that_counts_nothing_has_no_position() -> None:
    assert last_position(encode(Message("a", b"hello"))) is None
    assert last_position(b"") is None


def test_a_backlog_that_keeps_only_the_newest_says_that_others_are_missing() -> None:
    backlog = Backlog(500)
    backlog.add(encode(Message("a", b"one")) + encode(Message("a", b'{"kind":"')))
    backlog.add_gap()
    backlog.add(encode(Message("a", b"three")))
    cursor = backlog.end
    newest = encode(Message("a", b"four"))
    assert backlog.conflate(newest)[0] == 3
    assert backlog.bytes == len(newest)
    answer = json.loads(backlog.answer(TOKEN))
    assert ([element["text"] for element in answer["messages"]], answer["missed"]) == (["four"], True)
    assert not backlog.confirm(cursor - 1)
    assert backlog.confirm(backlog.end)
    assert not len(backlog)


@pytest.mark.parametrize("value", ["x:", ":1", "x:-1", "x:01", f"x:{2**53}", "x:1:2"])
def test_a_malformed_position_is_no_cursor(value: str) -> None:
    with pytest.raises(Refused, match="cursor must be") as caught:
        asked(f"/poll/a?cursor={value}")
    assert caught.value.status == 400


@pytest.mark.parametrize("value", ["", "-1", "25.1", "26", "1e1", "nan", "inf", "0x1", "\u0661", " 1", "1.0000", "999"])
def test_a_bad_wait_is_named(value: str) -> None:
    with pytest.raises(Refused, match="wait must be 0 to 25 seconds") as caught:
        asked(f"/poll/a?wait={value}")
    assert caught.value.status == 400


@pytest.mark.parametrize("value", ["", "x", TOKEN, f"{TOKEN}.", f"{TOKEN}.-1", f"{TOKEN}x.1", f"{TOKEN}.{10**15}"])
def test_a_bad_cursor_is_named(value: str) -> None:
    with pytest.raises(Refused, match="cursor must be") as caught:
        asked(f"/poll/a?cursor={value}")
    assert caught.value.status == 400

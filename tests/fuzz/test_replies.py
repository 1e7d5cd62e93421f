"""What counts as a valid reply, and what doesn't."""

from __future__ import annotations

import pytest

from relay.protocols.http_error import TLS_ALERT
from tests.fuzz.outcome import Outcome
from tests.fuzz.replies import InvalidReply, Said, read_frames, read_replies

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
LINES = STREAM.replace(b"text/event-stream", b"application/x-ndjson")
DELIMITED = STREAM.replace(b"text/event-stream", b"application/octet-stream")


def refusal(text: bytes, status: int = 400) -> bytes:
    """Return a response that says why."""
    return b"HTTP/1.1 %d Bad\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"", Said()),
        (TLS_ALERT, Said(alert=True)),
        (refusal(b"no"), Said([(400, b"no")])),
        (b"HTTP/1.0 204 No Content\r\n\r\n" + refusal(b"x", 404), Said([(204, b""), (404, b"x")])),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + refusal(b""), Said([(400, b"")])),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + refusal(b"x"), Said([(200, b""), (400, b"x")])),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", Said([(200, b"")])),
        (SWITCH + b"\x81\x01a\x89\x00\x88\x02\x03\xe8", Said([(101, b"")], [(1, b"a"), (8, b"\x03\xe8")])),
        (STREAM + b'\r\ndata: {"client":"x"}\n\ndata: {}\n\n', Said([(200, b"")], events=['data: {"client":""}'])),
        (LINES + b'{"a":1}\n{}\n', Said([(200, b"")], events=['data: {"a":1}'])),
        (DELIMITED + b"\x01x\x00\x80\x01" + b"y" * 128, Said([(200, b"")])),
        (STREAM + b"retry: 5\n\n:\n\ndata: a\n\n", Said([(200, b"")], events=["data: a"])),
    ],
)
def test_valid_replies(written: bytes, said: Said) -> None:
    assert read_replies(written) == said


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (b"nonsense", "no response"),
        (b"HTTP/1.1 200 OK\r\n", "no response"),
        (b"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "twice"),
        (refusal(b"", 500), "internal error"),
        (b"HTTP/1.1 200 OK\r\n\r\nbody", "without an end"),
        (refusal(b"long")[:-1], "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab", "chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", "chunk"),
        (STREAM + b"data: a", "cut short"),
        (LINES + b"{}", "cut short"),
        (LINES + b"x\n", "no JSON"),
        (DELIMITED + b"\x02x", "cut short"),
        (DELIMITED + b"\x80", "cut short"),
        (STREAM + b"nonsense\n\n", "event is malformed"),
        (STREAM + b"data: \xff\n\n", "UTF-8"),
        (TLS_ALERT + b"x", "no response"),
    ],
)
def test_invalid_replies(written: bytes, fault: str) -> None:
    with pytest.raises(InvalidReply, match=fault):
        read_replies(written)


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        (b"\x81", "cut short"),
        (b"\x81\x02a", "malformed"),
        (b"\x01\x01a", "malformed"),
        (b"\xc1\x01a", "malformed"),
        (b"\x81\x81\0\0\0\0a", "malformed"),
        (b"\x81\x01\xff", "UTF-8"),
        (b"\x88\x01\x03", "legal code"),
        (b"\x88\x02\x03\xed", "legal code"),
        (b"\x88\x03\x03\xe8\xff", "UTF-8"),
        (b"\x88\x00\x81\x00", "follows a close frame"),
        (b"\x88\x00\x8a\x00\x81\x00", "follows a close frame"),
        (b"\x81\x7e\x00\x01a", "more bytes than it needs"),
        (b"\x89\x7e\x00\x7e" + bytes(126), "too long"),
    ],
)
def test_invalid_frames(frames: bytes, fault: str) -> None:
    with pytest.raises(InvalidReply, match=fault):
        read_frames(frames)


def test_a_ping_may_be_answered_behind_a_close_frame() -> None:
    assert read_frames(b"\x88\x00\x8a\x01p") == [(8, b"")]


def test_pieces_may_be_answered_before_their_body_is_broken_and_nothing_else_may_differ() -> None:
    broken = Outcome(Said([(200, b""), (400, b"the body is broken: ...")]), [])
    answered, other = Outcome(Said([(200, b""), (404, b"")]), []), Outcome(Said([(200, b"")]), [("x", 1, b"hi")])
    assert broken.allows(broken)
    assert broken.allows(answered)
    assert not answered.allows(broken)
    assert not broken.allows(other)
    assert not Outcome(Said(alert=True), []).allows(Outcome(Said(), []))


def test_the_order_of_pongs_counts_and_that_of_messages_among_them_does_not() -> None:
    pong, other, echo = (10, b"1"), (10, b"2"), (1, b"echo")
    whole = Outcome(Said([(101, b"")], [pong, other, echo]), [])
    assert whole.allows(Outcome(Said([(101, b"")], [echo, pong, other]), []))
    assert not whole.allows(Outcome(Said([(101, b"")], [other, pong, echo]), []))


def test_a_client_that_has_broken_the_protocol_may_miss_its_pongs_but_not_the_reason() -> None:
    breach, other = (8, b"\x03\xea"), (8, b"\x03\xef")
    whole = Outcome(Said([(101, b"")], [breach]), [])
    assert whole.allows(Outcome(Said([(101, b"")], [(10, b"1"), breach]), []))
    assert not whole.allows(Outcome(Said([(101, b"")], [other]), []))

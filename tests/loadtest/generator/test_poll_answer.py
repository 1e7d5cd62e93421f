"""Answers to polls are read, or refused in words."""

from __future__ import annotations

import pytest

from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.poll_answer import PollClosed, decode_answer


def test_texts_and_bytes_are_read() -> None:
    messages = b'[{"kind":"text","text":"hello","position":"e:1"},{"kind":"binary","base64":"AAE="}]'
    answer = decode_answer(b'{"messages":%b,"cursor":"e:2","missed":true,"more":1}' % messages)
    assert [message.payload for message in answer.messages] == [b"hello", b"\x00\x01"]
    assert (answer.cursor, answer.missed, answer.closed) == ("e:2", True, None)


def test_the_end_of_a_subscription_is_read() -> None:
    answer = decode_answer(b'{"messages":[],"cursor":"e:2","closed":{"code":1001,"reason":"going away"}}')
    assert answer.closed == PollClosed(1001, "going away")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"messages":[]}', b'{"messages":7,"cursor":"e:1"}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="can't be read"):
        decode_answer(body)


def test_a_message_that_can_not_be_read_is_refused() -> None:
    answer = decode_answer(b'{"messages":[{"kind":"binary","base64":"???"}],"cursor":"e:2"}')
    with pytest.raises(RemoteProtocolError, match="in base64"):
        _ = answer.messages[0].payload

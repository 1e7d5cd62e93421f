"""What a payload says is what was put into it, or it is noticed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.generator.payload import MAX_SIZE, MIN_SIZE, MessageHeader, encode_payload, filler, find_headers

HEADER = MessageHeader(run=0xABCDEF, publisher=3, channel=1, sequence=77, due=1_234_567_890_123, lag=250)

_words = st.integers(0, 0xFFFFFFFF)
headers = st.builds(MessageHeader, _words, _words, _words, _words, st.integers(0, (1 << 64) - 1), _words)
sizes = st.integers(MIN_SIZE, 300) | st.sampled_from((1000, 65536, MAX_SIZE))


@given(headers, sizes)
def test_a_payload_has_exactly_its_size_and_says_what_was_put_in(header: MessageHeader, size: int) -> None:
    payload = encode_payload(header, filler(size))
    assert len(payload) == size
    assert find_headers(payload, filler(size)) == ([header], [])


@given(headers, sizes)
def test_a_payload_survives_in_json_strings_and_urls(header: MessageHeader, size: int) -> None:
    assert re.fullmatch(rb"[A-Za-z0-9:_-]+", encode_payload(header, filler(size)))


def test_the_largest_lag_stands_for_more() -> None:
    payload = encode_payload(HEADER._replace(lag=1 << 40), b"")
    assert find_headers(payload, b"") == ([HEADER._replace(lag=0xFFFFFFFF)], [])


@given(st.lists(headers, max_size=4), st.binary(max_size=20))
def test_messages_are_found_whatever_is_around_them(many: list[MessageHeader], around: bytes) -> None:
    around = around.replace(b"r", b"")
    tail = filler(60)
    text = around + b"".join(encode_payload(header, tail) + b'"' + around for header in many)
    assert find_headers(text, tail) == (many, [])


@pytest.mark.parametrize("size", [MIN_SIZE, 60])
def test_every_change_of_a_byte_is_noticed(size: int) -> None:
    """Each byte of one payload, changed into each other byte: no message is found, and past its mark it is damaged."""
    tail = filler(size)
    payload = encode_payload(HEADER, tail)
    for place, byte in enumerate(payload):
        for other in set(range(256)) - {byte}:
            changed = payload[:place] + bytes([other]) + payload[place + 1 :]
            headers, broken = find_headers(changed, tail)
            assert headers == [], (place, other)
            assert bool(broken) == (place >= 4), (place, other)


def test_every_cut_is_noticed() -> None:
    tail = filler(60)
    payload = encode_payload(HEADER, tail)
    for end in range(4, len(payload)):
        headers, broken = find_headers(payload[:end], tail)
        assert (headers, len(broken)) == ([], 1), end


def test_a_filler_of_another_size_is_noticed() -> None:
    assert find_headers(encode_payload(HEADER, filler(60)), filler(61))[0] == []


def test_a_damaged_message_among_sound_ones_is_told_apart() -> None:
    tail = filler(50)
    sound, damaged = encode_payload(HEADER, tail), encode_payload(HEADER, tail)[:-1] + b"?"
    assert find_headers(sound + damaged + sound, tail) == ([HEADER, HEADER], [damaged[:48]])


def test_a_text_without_a_message_has_none() -> None:
    assert find_headers(b"hello", filler(60)) == ([], [])
    assert find_headers(b"", b"") == ([], [])

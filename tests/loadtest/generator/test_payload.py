"""What a payload says is what was put into it, or it is noticed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.generator.payload import MAX_SIZE, MIN_SIZE, Stamp, encode, filler, find

STAMP = Stamp(run=0xABCDEF, publisher=3, channel=1, sequence=77, due=1_234_567_890_123, lag=250)

_words = st.integers(0, 0xFFFFFFFF)
stamps = st.builds(Stamp, _words, _words, _words, _words, st.integers(0, (1 << 64) - 1), _words)
sizes = st.integers(MIN_SIZE, 300) | st.sampled_from((1000, 65536, MAX_SIZE))


@given(stamps, sizes)
def test_a_payload_has_exactly_its_size_and_says_what_was_put_in(stamp: Stamp, size: int) -> None:
    payload = encode(stamp, filler(size))
    assert len(payload) == size
    assert find(payload, filler(size)) == ([stamp], [])


@given(stamps, sizes)
def test_a_payload_survives_in_json_strings_and_urls(stamp: Stamp, size: int) -> None:
    assert re.fullmatch(rb"[A-Za-z0-9:_-]+", encode(stamp, filler(size)))


def test_the_largest_lag_stands_for_more() -> None:
    payload = encode(STAMP._replace(lag=1 << 40), b"")
    assert find(payload, b"") == ([STAMP._replace(lag=0xFFFFFFFF)], [])


@given(st.lists(stamps, max_size=4), st.binary(max_size=20))
def test_messages_are_found_whatever_is_around_them(many: list[Stamp], around: bytes) -> None:
    around = around.replace(b"r", b"")
    tail = filler(60)
    text = around + b"".join(encode(stamp, tail) + b'"' + around for stamp in many)
    assert find(text, tail) == (many, [])


@pytest.mark.parametrize("size", [MIN_SIZE, 60])
def test_every_change_of_a_byte_is_noticed(size: int) -> None:
    """Each byte of one payload, changed into each other byte: no message is found, and past its mark it is damaged."""
    tail = filler(size)
    payload = encode(STAMP, tail)
    for place, byte in enumerate(payload):
        for other in set(range(256)) - {byte}:
            changed = payload[:place] + bytes([other]) + payload[place + 1 :]
            stamps, broken = find(changed, tail)
            assert stamps == [], (place, other)
            assert bool(broken) == (place >= 4), (place, other)


def test_every_cut_is_noticed() -> None:
    tail = filler(60)
    payload = encode(STAMP, tail)
    for end in range(4, len(payload)):
        stamps, broken = find(payload[:end], tail)
        assert (stamps, len(broken)) == ([], 1), end


def test_a_filler_of_another_size_is_noticed() -> None:
    assert find(encode(STAMP, filler(60)), filler(61))[0] == []


def test_a_damaged_message_among_sound_ones_is_told_apart() -> None:
    tail = filler(50)
    sound, damaged = encode(STAMP, tail), encode(STAMP, tail)[:-1] + b"?"
    assert find(sound + damaged + sound, tail) == ([STAMP, STAMP], [damaged[:48]])


def test_a_text_without_a_message_has_none() -> None:
    assert find(b"hello", filler(60)) == ([], [])
    assert find(b"", b"") == ([], [])

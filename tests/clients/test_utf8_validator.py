"""Finding invalid text early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.speedups import apply_mask

from relay.clients.utf8_validator import Utf8Validator

MASK = b"\x01\xfe\x37\xa5"


def first_error(data: bytes, sizes: list[int]) -> int | None:
    """Return after how many bytes, fed in pieces, an error is found; None when none is."""
    validator = Utf8Validator()
    validator.begin_frame(MASK)
    masked = apply_mask(data, MASK)
    position = 0
    for size in [*sizes, len(data)]:
        try:
            validator.feed(masked[position : position + size])
        except UnicodeDecodeError:
            return min(position + size, len(data))
        position = min(position + size, len(data))
    return None


@given(st.text(), st.lists(st.integers(0, 7), max_size=20))
def test_text_in_any_pieces_is_text(text: str, sizes: list[int]) -> None:
    assert first_error(text.encode(), sizes) is None


@given(st.text(max_size=20), st.sampled_from([b"\xff", b"\xc0", b"\xed\xa0\x80", b"\xf4\x90", b"\xe2\x28", b"\xf5"]))
def test_it_is_found_with_the_first_byte_that_is_wrong(text: str, wrong: bytes) -> None:
    data = text.encode() + wrong + b"\x80" * 10
    assert first_error(data, [1] * len(data)) == len(text.encode()) + len(wrong)


def test_the_text_goes_on_in_the_next_frame_and_control_frames_between_are_not_part_of_it() -> None:
    validator = Utf8Validator()
    euro = "\u20ac".encode()
    validator.begin_frame(MASK)
    validator.feed(apply_mask(euro[:1], MASK))
    validator.begin_frame(b"")
    validator.feed(b"\xff\xff")
    validator.begin_frame(MASK[::-1])
    validator.feed(apply_mask(euro[1:], MASK[::-1]))
    with pytest.raises(UnicodeDecodeError):
        validator.feed(b"\xff\xff\xff\xff")

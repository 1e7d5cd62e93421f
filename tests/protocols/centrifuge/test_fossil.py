"""Deltas between publications, applied by Centrifugo's own client."""

from __future__ import annotations

import json
from random import Random

import pytest
from centrifuge.fossil import apply_delta
from hypothesis import given
from hypothesis import strategies as st

from relay.protocols.centrifuge.fossil import BLOCK_BYTES, MAX_BYTES, create
from tests.harness.examples import examples

ALPHABETS = st.sampled_from([b"ab", bytes(range(256)), b"\x80\x81a", "aä€😀".encode()])


@st.composite
def versions(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw a source, and a target that has pieces of it."""
    bytes_ = st.lists(st.sampled_from(draw(ALPHABETS)), max_size=120).map(bytes)
    source = draw(bytes_) * draw(st.integers(1, 3))
    place = st.integers(0, len(source))
    piece = st.tuples(place, place).map(lambda ends: source[min(ends) : max(ends)])
    return source, b"".join(draw(st.lists(piece | bytes_.map(lambda new: new[:20]), max_size=6)))


@examples(300)
@given(versions())
def test_a_client_makes_the_target_of_the_source_and_the_delta(pair: tuple[bytes, bytes]) -> None:
    source, target = pair
    delta = create(source, target)
    if delta is not None:
        assert apply_delta(source, delta) == target
        assert len(delta) < len(target)


@given(
    st.text(st.sampled_from("aä€😀"), max_size=80), st.lists(st.tuples(st.integers(0, 80), st.text("ä€😀", max_size=2)))
)
def test_no_character_is_cut(text: str, edits: list[tuple[int, str]]) -> None:
    """In JSON a delta is a string."""
    target = text
    for place, new in edits:
        target = target[:place] + new + target[place + 1 :]
    source = text.encode() * 2
    delta = create(source, target.encode())
    if delta is not None:
        delta.decode()
        assert apply_delta(source, delta) == target.encode()


def test_a_small_change_makes_a_small_delta() -> None:
    document = json.dumps({"users": [{"name": f"user {number}", "score": number} for number in range(100)]}).encode()
    changed = document.replace(b"user 50", b"somebody").replace(b'"score": 70', b'"score": 71000')
    for source, target in ((document, changed), (changed, document)):
        delta = create(source, target)
        assert delta is not None
        assert len(delta) < 100
        assert apply_delta(source, delta) == target


def test_pieces_that_have_moved_are_found() -> None:
    source = Random(1).randbytes(4000)
    target = source[3000:] + source[1000:2000] + source[:1000]
    delta = create(source, target)
    assert delta is not None
    assert len(delta) < 200
    assert apply_delta(source, delta) == target


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (b"", b""),
        (b"", b"\xa4"),
        (b"\xa4\xa4", b"\xa4\xa4"),
        (b"a", b""),
        (b"", b"a"),
        (b"abc", b"abd"),
        (b"", b"x" * 100),
        (b"\x80" * 100, b"\x81" * 100),
    ],
)
def test_where_a_delta_would_be_no_shorter_there_is_none(source: bytes, target: bytes) -> None:
    assert create(source, target) is None


def test_what_is_too_long_is_not_compared() -> None:
    longest = b"a" * MAX_BYTES
    assert create(longest, longest) is not None
    assert create(longest + b"a", longest) is None
    assert create(longest, longest + b"a") is None


@pytest.mark.parametrize("unit", [b"a", b"\x80", b"ab" * 8], ids=repr)
def test_the_work_is_bounded_where_every_block_is_found_and_leads_nowhere(unit: bytes) -> None:
    """The rest of the target is sent as it is, and still arrives."""
    block = unit * (BLOCK_BYTES // len(unit))
    source = block + Random(1).randbytes(65536)
    target = b"-" + block * 4096 + b"-"
    delta = create(source, target)
    if delta is not None:
        assert apply_delta(source, delta) == target

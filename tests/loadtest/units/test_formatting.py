"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relay.loadtest.units import formatting as wording


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (wording.number, 0, "0"),
        (wording.number, 7, "7.00"),
        (wording.number, 12.345, "12.3"),
        (wording.number, 999.9, "1 000"),
        (wording.number, 1234.5678, "1 235"),
        (wording.number, 0.0123, "0.0123"),
        (wording.number, 1e-20, "0"),
        (wording.duration, None, wording.NOTHING),
        (wording.duration, 0, "0 s"),
        (wording.duration, 3.4e-10, "0.34 ns"),
        (wording.duration, 8.12e-7, "812 ns"),
        (wording.duration, 0.0000123, "12.3 µs"),
        (wording.duration, 0.0009996, "1.00 ms"),
        (wording.duration, 0.020, "20.0 ms"),
        (wording.duration, -0.020, "-20.0 ms"),
        (wording.duration, 2.013, "2.01 s"),
        (wording.duration, 599, "599 s"),
        (wording.duration, 725, "12 min 5 s"),
        (wording.duration, 659.7, "11 min 0 s"),
        (wording.duration_mark, 0, "0"),
        (wording.duration_mark, 0.0005, "500 µs"),
        (wording.duration_mark, 10, "10 s"),
        (wording.duration_mark, 100_000, "100 000 s"),
        (wording.clock, 12.5, "12.5 s"),
        (wording.clock, 185, "3:05"),
        (wording.clock, 3725, "1:02:05"),
        (wording.count, None, wording.NOTHING),
        (wording.count, 12_000_000, "12 000 000"),
        (wording.count, 7, "7"),
        (wording.count, 0.3, "0.3"),
        (wording.count, 1234.5678, "1 235"),
        (wording.count_mark, 0, "0"),
        (wording.count_mark, 0.2, "0.2"),
        (wording.count_mark, 20_000, "20k"),
        (wording.count_mark, 1.5e6, "1.5M"),
        (wording.count_mark, 1e15, "1 000T"),
        (wording.size, None, wording.NOTHING),
        (wording.size, 0, "0 bytes"),
        (wording.size, 640, "640 bytes"),
        (wording.size, 48, "48 bytes"),
        (wording.size, 12_345_678, "12.3 MB"),
        (wording.size, -2048, "-2.05 KB"),
        (wording.size_mark, 0, "0"),
        (wording.size_mark, 50e6, "50 MB"),
        (wording.share, None, wording.NOTHING),
        (wording.share, 0.834, "83.4 %"),
        (wording.share, 1, "100 %"),
        (wording.share, 0.000012, "0.0012 %"),
        (wording.share, 1e-9, "0.0000001 %"),
        (wording.share_mark, 0, "0"),
        (wording.share_mark, 0.025, "2.5 %"),
        (wording.percentile, 0, "0 %"),
        (wording.percentile, 50, "50 %"),
        (wording.percentile, 99.9, "99.9 %"),
        (wording.percentile, 99.99847412109375, "99.9985 %"),
        (wording.percentile, 100, "100 %"),
    ],
)
def test_it_is_written_in_three_digits_with_the_unit_that_suits(
    write: Callable[[Any], str], value: float | None, text: str
) -> None:
    """No exponents, no noise, and no space but the plain one."""
    assert write(value) == text


@pytest.mark.parametrize(
    ("write", "value", "most", "text"),
    [
        (wording.duration, 0.05, 3, "50 ms"),
        (wording.duration, 0.05004, 3, "50 ms"),
        (wording.duration, 0.05004, 4, "50.04 ms"),
        (wording.duration, 0.99996, 4, "1 s"),
        (wording.duration, 0.99996, 6, "999.96 ms"),
        (wording.duration, 1200.3, 3, "1 200 s"),
        (wording.duration, 1200.3, 6, "1 200.3 s"),
        (wording.count, 2000, 3, "2 000"),
        (wording.count, 0.05, 6, "0.05"),
        (wording.number, 1234.5678, 6, "1 234.57"),
        (wording.share, 0.999, 3, "99.9 %"),
        (wording.share, 0.97, 2, "97 %"),
        (wording.size, 20_000, 3, "20 KB"),
        (wording.size, 20_004, 6, "20.004 KB"),
    ],
)
def test_a_sentence_gets_as_many_digits_as_it_asks_for(
    write: Callable[[Any, int], str], value: float, most: int, text: str
) -> None:
    """Without noughts at the end: a limit is shown as it was given."""
    assert write(value, most) == text


@pytest.mark.parametrize(
    ("things", "nouns", "text"),
    [
        (0, ("client",), "0 clients"),
        (1, ("client",), "1 client"),
        (12_318, ("delivery", "deliveries"), "12 318 deliveries"),
        (1, ("delivery", "deliveries"), "1 delivery"),
    ],
)
def test_a_noun_agrees_with_its_number(things: int, nouns: tuple[str, ...], text: str) -> None:
    """One of it, or several."""
    assert wording.counted(things, *nouns) == text


def test_causes_are_listed_with_the_most_frequent_first() -> None:
    """What a server said cannot reach the terminal as a control."""
    assert wording.causes({"reset": 3, "1001 going\x1b[2J away": 4800}) == "1001 going\\x1b[2J away (4 800), reset (3)"

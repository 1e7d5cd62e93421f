"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relay.loadtest.units import formatting as formatting


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (formatting.number, 0, "0"),
        (formatting.number, 7, "7.00"),
        (formatting.number, 12.345, "12.3"),
        (formatting.number, 999.9, "1 000"),
        (formatting.number, 1234.5678, "1 235"),
        (formatting.number, 0.0123, "0.0123"),
        (formatting.number, 1e-20, "0"),
        (formatting.duration, None, formatting.NO_VALUE),
        (formatting.duration, 0, "0 s"),
        (formatting.duration, 3.4e-10, "0.34 ns"),
        (formatting.duration, 8.12e-7, "812 ns"),
        (formatting.duration, 0.0000123, "12.3 µs"),
        (formatting.duration, 0.0009996, "1.00 ms"),
        (formatting.duration, 0.020, "20.0 ms"),
        (formatting.duration, -0.020, "-20.0 ms"),
        (formatting.duration, 2.013, "2.01 s"),
        (formatting.duration, 599, "599 s"),
        (formatting.duration, 725, "12 min 5 s"),
        (formatting.duration, 659.7, "11 min 0 s"),
        (formatting.duration_tick, 0, "0"),
        (formatting.duration_tick, 0.0005, "500 µs"),
        (formatting.duration_tick, 10, "10 s"),
        (formatting.duration_tick, 100_000, "100 000 s"),
        (formatting.clock, 12.5, "12.5 s"),
        (formatting.clock, 185, "3:05"),
        (formatting.clock, 3725, "1:02:05"),
        (formatting.count, None, formatting.NO_VALUE),
        (formatting.count, 12_000_000, "12 000 000"),
        (formatting.count, 7, "7"),
        (formatting.count, 0.3, "0.3"),
        (formatting.count, 1234.5678, "1 235"),
        (formatting.count_tick, 0, "0"),
        (formatting.count_tick, 0.2, "0.2"),
        (formatting.count_tick, 20_000, "20k"),
        (formatting.count_tick, 1.5e6, "1.5M"),
        (formatting.count_tick, 1e15, "1 000T"),
        (formatting.size, None, formatting.NO_VALUE),
        (formatting.size, 0, "0 bytes"),
        (formatting.size, 640, "640 bytes"),
        (formatting.size, 48, "48 bytes"),
        (formatting.size, 12_345_678, "12.3 MB"),
        (formatting.size, -2048, "-2.05 KB"),
        (formatting.size_tick, 0, "0"),
        (formatting.size_tick, 50e6, "50 MB"),
        (formatting.share, None, formatting.NO_VALUE),
        (formatting.share, 0.834, "83.4 %"),
        (formatting.share, 1, "100 %"),
        (formatting.share, 0.000012, "0.0012 %"),
        (formatting.share, 1e-9, "0.0000001 %"),
        (formatting.share_tick, 0, "0"),
        (formatting.share_tick, 0.025, "2.5 %"),
        (formatting.percentile, 0, "0 %"),
        (formatting.percentile, 50, "50 %"),
        (formatting.percentile, 99.9, "99.9 %"),
        (formatting.percentile, 99.99847412109375, "99.9985 %"),
        (formatting.percentile, 100, "100 %"),
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
        (formatting.duration, 0.05, 3, "50 ms"),
        (formatting.duration, 0.05004, 3, "50 ms"),
        (formatting.duration, 0.05004, 4, "50.04 ms"),
        (formatting.duration, 0.99996, 4, "1 s"),
        (formatting.duration, 0.99996, 6, "999.96 ms"),
        (formatting.duration, 1200.3, 3, "1 200 s"),
        (formatting.duration, 1200.3, 6, "1 200.3 s"),
        (formatting.count, 2000, 3, "2 000"),
        (formatting.count, 0.05, 6, "0.05"),
        (formatting.number, 1234.5678, 6, "1 234.57"),
        (formatting.share, 0.999, 3, "99.9 %"),
        (formatting.share, 0.97, 2, "97 %"),
        (formatting.size, 20_000, 3, "20 KB"),
        (formatting.size, 20_004, 6, "20.004 KB"),
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
    assert formatting.counted(things, *nouns) == text


def test_causes_are_listed_with_the_most_frequent_first() -> None:
    """What a server said cannot reach the terminal as a control."""
    assert (
        formatting.causes({"reset": 3, "1001 going\x1b[2J away": 4800}) == "1001 going\\x1b[2J away (4 800), reset (3)"
    )

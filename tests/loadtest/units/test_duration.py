"""Lengths of time."""

from __future__ import annotations

import pytest

from relay.loadtest.units.duration import parse_duration, parse_unit_duration
from relay.loadtest.units.parsing import QuantityError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("500ms", 0.5),
        ("2m", 120),
        ("2min", 120),
        ("1h", 3600),
        ("50us", 0.00005),
        ("50 µs", 0.00005),
        ("1.5s", 1.5),
        (" 7 ", 7),
        ("0", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Every unit, fractions, and bare numbers."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5 days", "-1s", "1m30s", "1e3s", "inf"])
def test_what_is_no_duration_is_told_what_is(text: str) -> None:
    """With examples."""
    with pytest.raises(QuantityError) as caught:
        parse_duration(text)
    assert str(caught.value) == (
        f"{text!r} is not a duration: a number with us, ms, s, m or h, such as 50us, 500ms, 1.5s, 2m or 1h; "
        "a bare number is seconds"
    )


def test_a_unit_can_be_asked_for() -> None:
    """Nobody who writes p99>50 means 50 seconds."""
    assert parse_unit_duration("50ms") == 0.05
    with pytest.raises(QuantityError, match="'50' is not a duration: a number with us, ms"):
        parse_unit_duration("50")

"""Numbers with units."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from relay.loadtest.units.parsing import (
    QuantityError,
    parse_bytes,
    parse_duration,
    parse_rate,
    parse_share,
    parse_unit_duration,
)


@pytest.mark.parametrize(("text", "per_second"), [("20/s", 20), ("20", 20), ("1200/min", 20), (" 0.5 /s ", 0.5)])
def test_rates(text: str, per_second: float) -> None:
    """Per second, per minute, or bare: per second."""
    assert parse_rate(text) == pytest.approx(per_second)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0%", 0), ("100 %", 1), ("0.5%", 0.005), (".5%", 0.005)])
def test_shares(text: str, share: float) -> None:
    """In percent."""
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(("text", "count"), [("900", 900), ("20KB", 20_000), ("1.5 MB", 1_500_000), ("16KiB", 16_384)])
def test_bytes(text: str, count: int) -> None:
    """With decimal and binary units."""
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_rate, "20/h"),
        (parse_rate, "-1/s"),
        (parse_rate, "1_0"),
        (parse_rate, "many"),
        (parse_rate, ""),
        (parse_rate, "nan"),
        (parse_rate, "9" * 400),
        (parse_share, "0.01"),
        (parse_share, "101%"),
        (parse_bytes, "20kg"),
    ],
)
def test_what_is_wrong_is_told_what_is_allowed(parse: Callable[[str], float], text: str) -> None:
    """The text and an example are in the message."""
    with pytest.raises(QuantityError, match="such as") as caught:
        parse(text)
    assert str(caught.value).startswith(repr(text))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("500ms", 0.5),
        ("2m", 120),
        ("2min", 120),
        ("1h", 3600),
        ("30d", 2_592_000),
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
        f"{text!r} is not a duration: a number with us, ms, s, m, h or d, such as 50us, 500ms, 1.5s, 2m or 1h; "
        "a bare number is seconds"
    )


def test_a_unit_can_be_asked_for() -> None:
    """Nobody who writes p99>50 means 50 seconds."""
    assert parse_unit_duration("50ms") == 0.05
    with pytest.raises(QuantityError, match="'50' is not a duration: a number with us, ms"):
        parse_unit_duration("50")

"""The spaces of a text on the page."""

from __future__ import annotations

import pytest

from relay.loadtest.report.page import keep_together

NARROW = "\N{NARROW NO-BREAK SPACE}"
FIXED = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("12 000 000 deliveries lost", f"12{NARROW}000{NARROW}000 deliveries lost"),
        ("-2 048 KB, 83.4 % of 1 000T", f"-2{NARROW}048{FIXED}KB, 83.4{FIXED}% of 1{NARROW}000T"),
        ("12 min 5 s", f"12{FIXED}min 5{FIXED}s"),
        ("812 µs/s", f"812{FIXED}µs/s"),
    ],
)
def test_a_number_stays_together_and_with_its_unit(text: str, kept: str) -> None:
    """On one line."""
    assert keep_together(text) == kept


@pytest.mark.parametrize("text", ["1 of 200", "1001 200", "room1 200", "5 servers", "2030 1 2", "Linux 6.1 200"])
def test_other_spaces_stay_as_they_are(text: str) -> None:
    """A text may have digits that are no number of anything."""
    assert keep_together(text) == text

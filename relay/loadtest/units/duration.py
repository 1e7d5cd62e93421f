"""Lengths of time, as people write them on a command line."""

from __future__ import annotations

from typing import Final

from relay.loadtest.units.parsing import parse_quantity

UNITS: Final = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
ALLOWED: Final = "a duration: a number with us, ms, s, m or h, such as 50us, 500ms, 1.5s, 2m or 1h"


def parse_duration(text: str) -> float:
    """Return the seconds that a text such as "1.5s" means; a bare number is one of seconds.

    Raises:
        QuantityError: it is none; says what is allowed.
    """
    return parse_quantity(text, {**UNITS, "": 1.0}, f"{ALLOWED}; a bare number is seconds")


def parse_unit_duration(text: str) -> float:
    """Do what `parse_duration` does, but refuse a bare number: for times of which nobody thinks in seconds."""
    return parse_quantity(text, UNITS, ALLOWED)

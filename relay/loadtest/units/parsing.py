"""Numbers with units, parsed from a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from relay.errors import RelayError

_NUMBER_WITH_UNIT: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(\D*)")

_RATES: Final = {"": 1.0, "/s": 1.0, "/min": 1 / 60}
_SHARES: Final = {"%": 0.01}
_TIMES: Final = {
    **{"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3},
    **{"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0},
}
_BYTES: Final = {"": 1.0, "B": 1.0, "KB": 1e3, "kB": 1e3, "MB": 1e6, "KiB": 2.0**10, "MiB": 2.0**20}

_A_DURATION: Final = "a duration: a number with us, ms, s, m, h or d, such as 50us, 500ms, 1.5s, 2m or 1h"


class QuantityError(RelayError):
    """A text that is not a valid quantity.

    Args:
        given: the text.
        allowed: what is allowed, with examples.
    """

    def __init__(self, given: str, allowed: str) -> None:
        super().__init__(given, allowed)
        self.given = given
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.given!r} is not {self.allowed}"


def parse_quantity(text: str, units: Mapping[str, float], allowed: str) -> float:
    """Return the number that a text such as "1.5 MB" stands for.

    Args:
        text: a number that isn't negative, and its unit.
        units: unit → its factor; the key "" allows a bare number.
        allowed: what is allowed, for the error.

    Raises:
        QuantityError: the text is no such number, or its unit is unknown.
    """
    match = _NUMBER_WITH_UNIT.fullmatch(text.strip())
    if match is None or match[2] not in units:
        raise QuantityError(text, allowed)
    number = float(match[1]) * units[match[2]]
    if not math.isfinite(number):
        raise QuantityError(text, allowed)
    return number


def parse_duration(text: str) -> float:
    """Return the seconds that a text such as "1.5s" means; a bare number means seconds.

    Raises:
        QuantityError: the text is no duration; says what is allowed.
    """
    return parse_quantity(text, {**_TIMES, "": 1.0}, f"{_A_DURATION}; a bare number is seconds")


def parse_unit_duration(text: str) -> float:
    """Parse as `parse_duration` does, but refuse a bare number: for times that are rarely meant in seconds."""
    return parse_quantity(text, _TIMES, _A_DURATION)


def parse_rate(text: str) -> float:
    """Return how many per second a text such as "20/s", "1200/min" or "20" means."""
    return parse_quantity(text, _RATES, "a rate: a number per second or minute, such as 20/s, 1200/min or 20")


def parse_share(text: str) -> float:
    """Return the share, 0 to 1, that a text such as "1%" means."""
    allowed = "a share: 0% to 100%, such as 1% or 0.5%"
    share = parse_quantity(text, _SHARES, allowed)
    if share > 1:
        raise QuantityError(text, allowed)
    return share


def parse_bytes(text: str) -> float:
    """Return the bytes that a text such as "20KB" means."""
    return parse_quantity(text, _BYTES, "a number of bytes, such as 900, 20KB, 1.5MB or 16KiB")

"""Numbers with units, as people write them on a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from relay.errors import RelayError

_WRITTEN: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(\D*)")

_RATES: Final = {"": 1.0, "/s": 1.0, "/min": 1 / 60}
_SHARES: Final = {"%": 0.01}
_BYTES: Final = {"": 1.0, "B": 1.0, "KB": 1e3, "kB": 1e3, "MB": 1e6, "KiB": 2.0**10, "MiB": 2.0**20}


class QuantityError(RelayError):
    """A text that is not the quantity it should be.

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
        units: unit → what one of it is worth; "" where a bare number is allowed.
        allowed: what is allowed, for the error.

    Raises:
        QuantityError: it is no such number, or has no such unit.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or match[2] not in units:
        raise QuantityError(text, allowed)
    number = float(match[1]) * units[match[2]]
    if not math.isfinite(number):
        raise QuantityError(text, allowed)
    return number


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

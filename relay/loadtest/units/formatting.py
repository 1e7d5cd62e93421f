"""Numbers as text for people: three significant digits and a suitable unit.

Spaces in them are plain ones, for terminals and logs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from relay.redaction import escape_controls

NO_VALUE: Final = "\N{EN DASH}"
"""Shown in place of a value that doesn't exist."""

_DIGITS: Final = 3
_DECIMALS: Final = 12

_TIMES: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_SIZES: Final = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB"), (1.0, "bytes"))
_SHORT: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))

_MINUTES_FROM: Final = 600


def number(value: float, most: int | None = None) -> str:
    """Return a number without an exponent; digits before the point are always shown.

    Args:
        value: the number.
        most: highest number of significant digits, for a sentence; None: always three, so that columns align.
    """
    digits = most or _DIGITS
    rounded = float(f"{value:.{digits}g}")
    if abs(value) >= 10**digits or not rounded:
        return _spaced(f"{value:,.0f}")
    decimals = min(_DECIMALS, max(0, digits - 1 - math.floor(math.log10(abs(rounded)))))
    text = _spaced(f"{rounded:,.{decimals}f}")
    return _trimmed(text) if most or abs(rounded) < 1 else text


def count(value: float | None, most: int | None = None) -> str:
    """Return a count, whole numbers in full: 12 000 000, 12.3."""
    if value is None:
        return NO_VALUE
    return _spaced(f"{value:,.0f}") if value == int(value) else number(value, most)


def counted(things: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: 1 client, 2 000 clients.

    Args:
        things: the count.
        noun: singular.
        plural: plural; empty: the noun with an s.
    """
    return f"{count(things)} {noun if things == 1 else plural or f'{noun}s'}"


def causes(counts: Mapping[str, int]) -> str:
    """Return the causes and how often each was counted, the most frequent first: timed out (112), HTTP 503 (20)."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    # A cause may quote the server.
    return ", ".join(f"{escape_controls(cause)} ({count(times)})" for cause, times in ordered)


def duration(seconds: float | None, most: int | None = None) -> str:
    """Return a time in a suitable unit: 812 µs, 1.24 ms, 2.01 s, 12 min 5 s.

    Args:
        seconds: the time; None: there is none.
        most: highest number of significant digits; with it, minutes are not used.
    """
    if seconds is None:
        return NO_VALUE
    if not seconds:
        return "0 s"
    if seconds >= _MINUTES_FROM and most is None:
        minutes, rest = divmod(round(seconds), 60)
        return f"{count(minutes)} min {rest} s"
    # 999.9 µs are 1.00 ms, not 1 000 µs.
    rounded = float(f"{seconds:.{most or _DIGITS}g}")
    factor, unit = next((pair for pair in _TIMES if abs(rounded) >= pair[0] * (1 - 1e-9)), _TIMES[-1])
    return f"{number(seconds / factor, most)} {unit}"


def size(in_bytes: float | None, most: int | None = None) -> str:
    """Return an amount of memory: 640 bytes, 12.3 MB. It may be negative."""
    if in_bytes is None:
        return NO_VALUE
    factor, unit = next((pair for pair in _SIZES if abs(in_bytes) >= pair[0]), _SIZES[-1])
    value = in_bytes / factor
    return f"{count(value) if factor == 1 else number(value, most)} {unit}"


def share(fraction: float | None, most: int | None = None) -> str:
    """Return a fraction as a percentage: 0.0012 %, 83.4 %."""
    return NO_VALUE if fraction is None else f"{number(fraction * 100, most)} %"


def clock(seconds: float) -> str:
    """Return a moment of a run as 12.5 s, or from two minutes on as 3:05."""
    if seconds < 120:
        return f"{seconds:.4g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def percentile(value: float) -> str:
    """Return the name of a percentile (0 to 100) with as many nines as it has: 99.9 %, 99.9985 %."""
    rest = 100 - value
    decimals = min(max(1, 1 - math.floor(math.log10(rest))), 10) if rest > 0 else 1
    return f"{_trimmed(f'{value:.{decimals}f}')} %"


def duration_tick(seconds: float) -> str:
    """Return a round time for an axis: 500 µs, 2 ms, 10 s."""
    if not seconds:
        return "0"
    factor, unit = next((pair for pair in _TIMES if seconds >= pair[0] * (1 - 1e-9)), _TIMES[-1])
    return f"{_round(seconds / factor)} {unit}"


def count_tick(value: float) -> str:
    """Return a round number for an axis: 250, 20k, 1.5M."""
    factor, unit = next((pair for pair in _SHORT if abs(value) >= pair[0]), _SHORT[-1])
    return f"{_round(value / factor)}{unit}"


def size_tick(in_bytes: float) -> str:
    """Return a round amount of memory for an axis: 0, 50 MB."""
    factor, unit = next((pair for pair in _SIZES if in_bytes >= pair[0]), _SIZES[-1])
    return f"{_round(in_bytes / factor)} {unit}" if in_bytes else "0"


def share_tick(fraction: float) -> str:
    """Return a round percentage for an axis: 0, 2.5 %."""
    return f"{_round(fraction * 100)} %" if fraction else "0"


def _round(value: float) -> str:
    """Return a round number without trailing zeros."""
    return _trimmed(_spaced(f"{value:,.4f}"))


def _trimmed(text: str) -> str:
    """Return a number without the trailing zeros of its decimals."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _spaced(text: str) -> str:
    """Return a number with spaces instead of commas between its thousands."""
    return text.replace(",", " ")

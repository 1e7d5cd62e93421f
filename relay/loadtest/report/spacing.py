"""The spaces of a text on the page."""

from __future__ import annotations

import re
from typing import Final

_THOUSANDS: Final = re.compile(r"(?<![\w.])\d{1,3}(?: \d{3})+(?!\d)")
_BEFORE_UNIT: Final = re.compile(r"(?<=\d) (?=(?:[nµm]?s|min|bytes|[KMGT]B|%)(?!\w))")


def keep_together(text: str) -> str:
    """Return a text whose numbers are not torn apart at the end of a line, nor from their units."""
    narrow = _THOUSANDS.sub(lambda match: match[0].replace(" ", "\N{NARROW NO-BREAK SPACE}"), text)
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", narrow)

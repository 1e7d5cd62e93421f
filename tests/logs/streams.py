"""Streams that a log is written to, and what was written."""

from __future__ import annotations

import io
import json
from typing import Any


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Claim it."""
        return True


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the entries of a JSON log."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]

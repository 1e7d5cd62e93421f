"""How far a client of the Centrifuge protocol is; the table is in `connection.py`."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """See above."""

    NEW = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    ENDED = enum.auto()

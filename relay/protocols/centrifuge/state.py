"""How far a client of the Centrifuge protocol has come.

state        a command                                       how it goes on
NEW          `connect`; any other one: closed                CONNECTING
CONNECTING   waits                                           CONNECTED when it is known who the client is, else ENDED
CONNECTED    is carried out; a second `connect`: closed      ENDED
ENDED        is ignored: the client is about to leave
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """See the table above."""

    NEW = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    ENDED = enum.auto()

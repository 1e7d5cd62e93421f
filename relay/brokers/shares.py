"""The share of the publish buffer that each kind of publishers has.

One buffer for all would be a weapon: a publisher that fills it while Redis is away would make the messages of all
others fail. So each kind has a share of its own, and its use takes nothing from another.
"""

from __future__ import annotations

import enum
from typing import Final


class Share(enum.Enum):
    """A kind of publisher; its value is its label in the metrics.

    `CLIENTS` are the WebSocket clients. They are paused before their share is used up, so none of their messages fails
    for want of room. `POSTS` are the messages of `POST /publish`; `BACK_ENDS` are those of the server API, of the
    program around an embedded gateway, and the gateways' own commands. These publishers can't be paused: beyond their
    share their messages fail.
    """

    CLIENTS = "clients"
    POSTS = "posts"
    BACK_ENDS = "back_ends"

    # That of an enum is a call into Python, for each message with a receipt. Members are equal only to themselves.
    __hash__ = object.__hash__


# Half for clients, whose messages the relay has read already; the others can send theirs again.
FRACTIONS: Final = {Share.CLIENTS: 0.5, Share.POSTS: 0.25, Share.BACK_ENDS: 0.25}


def limits(buffer_bytes: int) -> dict[Share, int]:
    """Return the limit of each share of a buffer, in bytes.

    A share takes messages until it has reached its limit; the last one may exceed it. So the largest message that is
    allowed always finds room, however small the buffer.
    """
    return {share: int(buffer_bytes * fraction) for share, fraction in FRACTIONS.items()}

"""The shares that the kinds of publishers have of the publish buffer.

One buffer for all would be a weapon: a publisher that fills it while Redis is away would get the messages of all
others refused. So each kind has a share of its own, and the use of one takes nothing from another.
"""

from __future__ import annotations

import enum
from typing import Final


class Share(enum.Enum):
    """A kind of publisher; its value is its label in the metrics.

    `CLIENTS` are the WebSocket clients. They are paused before their share is used up, and none of their messages is
    refused for want of room. `POSTS` are the messages of `POST /publish`, `BACK_ENDS` those of the server API, of the
    program around an embedded gateway, and the gateways' own orders. These can't be paused: beyond their share they
    are refused.
    """

    CLIENTS = "clients"
    POSTS = "posts"
    BACK_ENDS = "back_ends"


# Half for clients, whose messages the relay has read already; posts and back ends can ask again.
FRACTIONS: Final = {Share.CLIENTS: 0.5, Share.POSTS: 0.25, Share.BACK_ENDS: 0.25}


def limits(buffer_bytes: int) -> dict[Share, int]:
    """Return the bytes that each share has of a buffer.

    A share takes messages until it has reached its limit; the last one may go beyond it. So the largest message
    that is allowed always finds room, however small the buffer.
    """
    return {share: int(buffer_bytes * fraction) for share, fraction in FRACTIONS.items()}

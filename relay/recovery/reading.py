"""Readings of a channel's history: how much is wanted, and what has come."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from relay.brokers.history import HistoryPage
from relay.message import PositionedMessage


class Extent(enum.IntEnum):
    """How much of a history is read; each includes those before it."""

    TOP = 0
    """The position of its newest message."""
    SINCE = 1
    """What has come since the last message that was delivered."""
    ALL = 2
    """All that one reading can give."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What was read of a history.

    Args:
        page: its messages are in the order of their offsets.
        since: the offset after which it has all messages of the history; 0: it has all that can be had. None: it has
            the top only.
    """

    page: HistoryPage
    since: int | None


def run_up_to(offset: int, messages: Iterable[PositionedMessage]) -> list[PositionedMessage]:
    """Return the messages without a hole that end at an offset; none if that one is missing.

    Args:
        offset: of the last one.
        messages: of one epoch, in any order.
    """
    found = {message.position.offset: message for message in messages}
    run = []
    while offset in found:
        run.append(found[offset])
        offset -= 1
    run.reverse()
    return run

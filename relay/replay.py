"""What a client that joins a channel gets of the messages before."""

from __future__ import annotations

from typing import Final

import msgspec

from relay.message import PositionedMessage, content_bytes
from relay.position import Position

MAX_NEWEST: Final = 1000
"""Newest messages that a client gets at most, as many as one reading of a history gives."""

Resume = Position | int
"""What a client wants of a channel's history when it subscribes: all that has come after a position, or so many of the
newest messages. 0: nothing."""


class Replay(msgspec.Struct, frozen=True, gc=False):
    """What it gets. The live messages go on right behind it, without a hole and without a double.

    Args:
        position: of the last message before the live ones.
        messages: that it gets first, in the order of their offsets.
        recovered: whether these are all that it has missed; False: it can't be told what is missing, and gets none.
            True where it has not asked for what comes after a position.
    """

    position: Position
    messages: list[PositionedMessage] = []
    recovered: bool = True

    @property
    def start(self) -> Position:
        """The position before the first of its messages."""
        if not self.messages:
            return self.position
        first = self.messages[0].position
        return Position(first.epoch, first.offset - 1)

    def cut(self, most_bytes: int) -> Replay:
        """Return it with no more of the newest messages than fit, but one at least.

        Args:
            most_bytes: of their payloads and attributes.
        """
        messages, room = self.messages, most_bytes
        for number in range(len(messages) - 1, -1, -1):
            room -= content_bytes(messages[number])
            if room < 0:
                first = min(number + 1, len(messages) - 1)
                return msgspec.structs.replace(self, messages=messages[first:])
        return self

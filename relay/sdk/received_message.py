"""A message as a subscriber gets it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message of a channel.

    Args:
        channel: name of its channel.
        data: text, or bytes of a binary message.
        position: its place in the channel, as `EPOCH:OFFSET`; with `since` it is where to go on. None: the channel
            counts no messages, or the message went past its history.
    """

    channel: str
    data: str | bytes
    position: str | None

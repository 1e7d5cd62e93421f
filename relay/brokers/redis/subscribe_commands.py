"""Subscriptions of one link, the commands that make and end them, and their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

BATCH = 512
"""Channels per SUBSCRIBE or UNSUBSCRIBE: one command must not keep Redis busy for long."""


class BusSubscription:
    """One channel that this gateway wants, and how far Redis is with it.

    `unanswered` counts SUBSCRIBE commands on the way: after subscribe, unsubscribe, subscribe the first
    answer doesn't mean that the channel is heard. `heard` tells whether it ever was: somebody relies on it then.
    """

    __slots__ = ("acknowledged", "heard", "name", "unanswered")

    def __init__(self, name: str, acknowledged: asyncio.Future[None]) -> None:
        self.name = name
        self.acknowledged = acknowledged
        self.heard = False
        self.unanswered = 0


class Command(NamedTuple):
    """A command that Redis hasn't answered yet; it answers once per key, or with one error for all.

    `wanted` holds, for each key, the subscription that the command was written for: by the time of the answer
    the channel may have been left and wanted anew. `opening` marks those that bring a fresh link into use: once none
    of them is unanswered, the link is in step with what is wanted. Commands are counted, not channels: each is
    answered, or goes with its link, whatever has become of its channels meanwhile.
    """

    verb: bytes
    keys: deque[bytes]
    wanted: deque[BusSubscription | None]
    opening: bool = False


def batches(commands: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Group neighbours with the same verb, at most `BATCH` channels each; the order stays."""
    start = 0
    while start < len(commands):
        verb = commands[start][0]
        keys: list[bytes] = []
        for other, key in islice(commands, start, start + BATCH):
            if other != verb:
                break
            keys.append(key)
        start += len(keys)
        yield verb, keys

"""The commands that begin and end subscriptions on a link, and their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from relay.message import Message

BATCH = 512
"""Channels per SUBSCRIBE or UNSUBSCRIBE: one command must not keep Redis busy for long."""


class BusSubscription:
    """A gateway's subscription to one channel of the bus.

    Args:
        name: of the channel, without the bus's prefix.
        receive: gets its messages without positions.

    Attributes:
        name, receive: the same.
        acknowledged: done when Redis has acknowledged the subscription on the current link.
        heard: whether that ever happened: clients rely on the channel then.
        unanswered: number of SUBSCRIBE commands without a reply. After subscribe, unsubscribe, subscribe the first
            reply doesn't mean that the channel is heard.
    """

    __slots__ = ("acknowledged", "heard", "name", "receive", "unanswered")

    def __init__(self, name: str, receive: Callable[[Message], None]) -> None:
        self.name = name
        self.receive = receive
        self.acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heard = False
        self.unanswered = 0


class Command(NamedTuple):
    """A command without a reply. Redis replies once per channel, or with one error for all.

    Args:
        verb: see `relay.brokers.redis.verbs`, or PING.
        keys: names, on the bus, of its channels that have no reply yet.
        wanted: for each of them the subscription that the command was written for: by the time of the reply the
            channel may have been unsubscribed and subscribed again.
        opening: whether it is one of those that bring a fresh link into use: when all of these are answered, all
            wanted channels are subscribed. Commands are counted, not channels: each command is answered, or goes with
            its link, whatever has become of its channels meanwhile.
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

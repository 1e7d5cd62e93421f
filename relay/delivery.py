"""What a flush brings the subscribers of a channel that have the same encoder."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from relay.logs import Logger
from relay.message import Message, PositionedMessage
from relay.subscribers import Group, Subscriber

log = Logger("relay.hub")


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """The same bytes for a group.

    Args:
        group: the subscribers; it may change meanwhile.
        data: the joined frames.
        count: number of messages.
        last: the last one of them.
    """

    group: Group
    data: bytes
    count: int
    last: Message


def deliver(subscribers: Iterable[Subscriber], data: bytes, count: int, last: Message) -> None:
    """Deliver the same bytes to subscribers, all of them but those that have a fault; these are told.

    Args:
        subscribers: may leave meanwhile.
        data: the joined frames.
        count: number of messages.
        last: the last one of them.
    """
    for subscriber in subscribers:
        try:  # costs nothing where there is no fault
            subscriber.deliver(data, count)
        except Exception:
            log.exception("messages not delivered", channel=last.channel)
            tell_missed([subscriber], last)


def tell_missed(subscribers: Iterable[Subscriber], last: Message) -> None:
    """Tell subscribers that they don't have the messages up to the last one."""
    position = last.position if isinstance(last, PositionedMessage) else None
    for subscriber in subscribers:
        try:
            subscriber.missed(last.channel, position)
        except Exception:  # the fault goes deeper
            log.exception("subscriber not told of missed messages", channel=last.channel)

"""Noting what clients publish, in a node's place."""

from __future__ import annotations

from typing import Protocol

from relay.brokers import Receipt
from relay.message import Message
from relay.paused_sources import PausableSource


class Publish(Protocol):
    """Has the signature of `Node.publish`."""

    def __call__(self, message: Message, source: PausableSource, receipt: Receipt | None = None) -> None: ...


def collect(into: list[bytes]) -> Publish:
    """Return what can stand for `Node.publish` and keeps the payloads."""

    def publish(message: Message, source: PausableSource, receipt: Receipt | None = None) -> None:
        into.append(message.payload)

    return publish

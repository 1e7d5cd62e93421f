"""Notices messages that go past the histories of their channels."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

from relay.brokers import Sink
from relay.logs import Logger
from relay.message import Message, PositionedMessage
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces

REPORT_SECONDS: Final = 60.0
"""How often it is logged: such a publisher goes on."""

log = Logger("relay.bus")


class UnpositionedWatch:
    """Passes everything on to a sink, and counts messages without positions on channels that have some; a `Sink`.

    They are delivered: `redis-cli PUBLISH` works everywhere. But whoever misses one is told nothing.

    Args:
        sink: gets everything.
        namespaces: which channels have positions.
        counters: where it is counted.
    """

    def __init__(self, sink: Sink, namespaces: Namespaces, counters: Counters) -> None:
        self._sink = sink
        self._options = namespaces.options
        self._counters = counters
        self._report_at = 0.0

    def receive(self, message: Message) -> None:
        """See `Sink.receive`."""
        if self._options(message.channel).positioned:
            self._notice(message)
        self._sink.receive(message)

    @property
    def receive_positioned(self) -> Callable[[PositionedMessage], None]:
        """See `Sink.receive_positioned`; straight to the sink, as nothing is noticed there."""
        return self._sink.receive_positioned

    def gap(self, channels: Collection[str], seconds: float) -> None:
        """See `Sink.gap`."""
        self._sink.gap(channels, seconds)

    def writable(self) -> None:
        """See `Sink.writable`."""
        self._sink.writable()

    def _notice(self, message: Message) -> None:
        self._counters.messages_unpositioned += 1
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            log.warning(
                "message past the history",
                channel=message.channel,
                meaning="it is delivered, and kept nowhere; whoever misses it is not told",
                cause="a plain PUBLISH, or a publisher that doesn't know the namespaces",
            )

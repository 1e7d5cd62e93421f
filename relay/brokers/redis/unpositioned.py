"""Notices messages that go past the histories of their channels."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from relay.brokers import Sink
from relay.logs import Logger
from relay.message import Message
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces

REPORT_SECONDS: Final = 60.0
"""How often it is logged: such a publisher goes on."""

log = Logger("relay.bus")


class UnpositionedWatch:
    """Counts messages without positions on channels that have some.

    They are delivered: `redis-cli PUBLISH` works everywhere. But a client that misses one is told nothing.

    Args:
        sink: gets them all.
        namespaces: which channels have positions.
        counters: where it is counted.
    """

    def __init__(self, sink: Sink, namespaces: Namespaces, counters: Counters) -> None:
        self._sink = sink
        self._options = namespaces.options
        self._counters = counters
        self._report_at = 0.0

    def receiver(self, channel: str) -> Callable[[Message], None]:
        """Return what gets a channel's messages without positions. Where none has any, that is the sink itself."""
        return self._receive if self._options(channel).positioned else self._sink.receive

    def _receive(self, message: Message) -> None:
        self._notice(message)
        self._sink.receive(message)

    def _notice(self, message: Message) -> None:
        self._counters.messages_unpositioned += 1
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            log.warning(
                "message past the history",
                channel=message.channel,
                meaning="it is delivered, and not kept; a client that misses it is not told",
                cause="a plain PUBLISH, or a publisher that doesn't know the namespaces",
            )

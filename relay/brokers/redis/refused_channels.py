"""The channels that Redis refuses, though clients or the probe need them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from relay.logs import Logger

RETRY_SECONDS = 1.0
"""How often refused channels are subscribed to again, while clients rely on them."""

REPORT_SECONDS = 10.0
"""How often refusals are logged: clients choose the channels."""

log = Logger("relay.bus")


class RefusedChannels:
    """Channels that are subscribed to again and again.

    Each leaves when it is subscribed, when it is unsubscribed, or when the link is lost.

    Args:
        probe: name, on the bus, of the probe's channel.
        subscribe: subscribes to a channel again.
    """

    def __init__(self, probe: bytes, subscribe: Callable[[bytes], None]) -> None:
        self._probe = probe
        self._subscribe = subscribe
        self._errors: dict[bytes, str] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._report_at = 0.0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._errors)

    def add(self, key: bytes, error: str) -> None:
        """Note a channel that is needed and refused, with Redis' error, and retry it later."""
        self._errors[key] = error
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self.retry)

    def retry(self) -> None:
        """Subscribe to all channels again, now."""
        self.stop()
        for key in self._errors:
            self._subscribe(key)

    def remove(self, key: bytes) -> bool:
        """Remove a channel; return whether it was refused."""
        return self._errors.pop(key, None) is not None

    def clear(self) -> None:
        """Remove all channels: the link is lost."""
        self._errors.clear()

    def stop(self) -> None:
        """Retry no more."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    @property
    def probe_refused(self) -> bool:
        """Whether the probe can't be heard, because Redis refuses its channel."""
        return self._probe in self._errors

    @property
    def reasons(self) -> list[str]:
        """Which channels can't be heard and why, as sentences."""
        channels = [error for key, error in self._errors.items() if key != self._probe]
        reasons = [f"bus probe channel refused: {self._errors[self._probe]}"] if self.probe_refused else []
        if channels:
            reasons.append(f"bus subscriptions: Redis refuses {len(channels)} channel(s): {channels[0]}")
        return reasons

    def report(self, channel: str, error: str) -> None:
        """Log a refusal, whether it is retried or not, unless one was logged just now."""
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            log.error("bus subscription refused", channel=channel, error=error)

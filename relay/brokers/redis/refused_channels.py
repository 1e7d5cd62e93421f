"""What Redis doesn't let a gateway hear, though its clients or its probe need it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from relay.logs import Logger

REPORT_SECONDS = 10.0
"""How often refusals are logged: clients choose the channels."""

log = Logger("relay.bus")


class RefusedChannels:
    """Channels that are asked for again and again; each leaves when it is heard, when it is left, or with the link.

    Args:
        probe: name, on the bus, of the probe's channel.
    """

    def __init__(self, probe: bytes) -> None:
        self._probe = probe
        self._errors: dict[bytes, str] = {}
        self._report_at = 0.0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._errors)

    def add(self, key: bytes, error: str) -> None:
        """Note a channel that is needed and refused, with Redis' own words."""
        self._errors[key] = error

    def remove(self, key: bytes) -> bool:
        """Forget a channel; return whether it was refused."""
        return self._errors.pop(key, None) is not None

    def clear(self) -> None:
        """Forget all: the link is gone."""
        self._errors.clear()

    @property
    def probe_refused(self) -> bool:
        """Whether the broker can't hear itself, because Redis doesn't let it."""
        return self._probe in self._errors

    @property
    def reasons(self) -> list[str]:
        """What can't be heard, in words."""
        channels = [error for key, error in self._errors.items() if key != self._probe]
        reasons = [f"bus probe channel refused: {self._errors[self._probe]}"] if self.probe_refused else []
        if channels:
            reasons.append(f"bus subscriptions: Redis refuses {len(channels)} channel(s): {channels[0]}")
        return reasons

    def report(self, channel: str, error: str) -> None:
        """Log a refusal, whether it is asked for again or not, unless one was logged just now."""
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            log.error("bus subscription refused", channel=channel, error=error)

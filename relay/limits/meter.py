"""What one client sends, held against its rates of messages and bytes.

A client that sends more is not read until it may go on, and fails when that doesn't end: for a while it always had more
to send than it may.

Counting has to cost next to nothing. So a client is granted some messages and bytes of what its rates have left, and
only when these are used up the clock is read. By that it can have one grant more than its burst.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from relay.limits.limit import Limit
from relay.limits.rate import Rate

GRANTED_MESSAGES: Final = 512
GRANTED_BYTES: Final = 128 * 1024
GRANTED_PART: Final = 8
"""What is granted at a time: at most so much, an eighth of the burst, and what is left."""

LEAST_SECONDS: Final = 0.01
"""How long a client waits at least: at a high rate a timer for each message would cost more than the message."""

CLOCK_SECONDS: Final = 0.001
"""A wait that is shorter than what the timers of event loops can tell apart."""

PATIENCE_SECONDS: Final = 30.0
"""For how long a client may be held back, without having half of its burst left in between."""

BURST_SECONDS: Final = 2
"""How long a rate lasts for its burst."""


def _granted(rate: Rate | None, due: float, now: float, most: int) -> int:
    if rate is None:
        return sys.maxsize
    return max(1, int(min(most, rate.burst / GRANTED_PART, rate.left(due, now))))


@dataclass(frozen=True, slots=True)
class SendingRates:
    """What a client may send.

    Args:
        messages: None: any number.
        bytes: as they come over the network; None: any number.
        patience: seconds for which a client may be held back again and again.

    Attributes:
        first_messages: how many are granted to a client that has sent none.
        first_bytes: the same of bytes.
    """

    messages: Rate | None
    bytes: Rate | None
    patience: float = PATIENCE_SECONDS
    first_messages: int = field(init=False)
    first_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first_messages", _granted(self.messages, 0.0, 0.0, GRANTED_MESSAGES))
        object.__setattr__(self, "first_bytes", _granted(self.bytes, 0.0, 0.0, GRANTED_BYTES))

    @classmethod
    def of(cls, messages: int, size: int, max_message_bytes: int) -> Self:
        """Return what settings mean.

        Args:
            messages: a second; 0: any number.
            size: bytes a second; 0: any number.
            max_message_bytes: of one message; it never has to wait for itself.
        """
        return cls(
            Rate(messages, messages * BURST_SECONDS) if messages else None,
            Rate(size, max(size * BURST_SECONDS, max_message_bytes)) if size else None,
        )


UNLIMITED: Final = SendingRates(None, None)


class Hold(NamedTuple):
    """A client must not be read for now.

    Args:
        seconds: until it may go on.
        limit: which one it has reached.
        begins: whether it is the first time that it is held back since it last had half of its burst left.
        failed: whether it has been for too long, and should be closed.
    """

    seconds: float
    limit: Limit
    begins: bool
    failed: bool


class Meter:
    """What one client has sent.

    Args:
        rates: what it may send.
        now: as for `renew`.

    Attributes:
        messages_left: how many messages may be taken in; who takes some in subtracts them.
        bytes_left: the same of bytes; the last message may take more, which later ones will lack.
    """

    __slots__ = (
        "_bytes_due",
        "_granted_at",
        "_granted_bytes",
        "_granted_messages",
        "_held_since",
        "_messages_due",
        "_rates",
        "bytes_left",
        "messages_left",
    )

    def __init__(self, rates: SendingRates, now: float) -> None:
        # Since when it has been held back again and again; None: it isn't.
        self._held_since: float | None = None
        self.reset(now, rates)

    def reset(self, now: float, rates: SendingRates) -> None:
        """Forget what was sent, and hold what follows against other rates; `now` as for `renew`."""
        self._rates = rates
        # See `Rate`.
        self._messages_due = self._bytes_due = 0.0
        self._held_since = None
        self._granted_at = now
        self._granted_messages = self.messages_left = rates.first_messages
        self._granted_bytes = self.bytes_left = rates.first_bytes

    def renew(self, now: float) -> Hold | None:
        """Grant more, when messages or bytes are used up, or before.

        Args:
            now: seconds, of a clock that never goes back.

        Returns:
            None: more may be taken in. Else nothing may be before the seconds are over, and this is called again.
        """
        # What was granted counts as taken when it was granted.
        rates, before = self._rates, self._granted_at
        messages, size = rates.messages, rates.bytes
        waits = {Limit.MESSAGES: 0.0, Limit.BYTES: 0.0}
        rested = True
        if messages is not None:
            used = self._granted_messages - self.messages_left
            due = self._messages_due = messages.add(self._messages_due, before, used)
            waits[Limit.MESSAGES] = messages.wait(due, now)
            rested = messages.left(due, now) >= messages.burst / 2
        if size is not None:
            used = self._granted_bytes - self.bytes_left
            due = self._bytes_due = size.add(self._bytes_due, before, used)
            waits[Limit.BYTES] = size.wait(due, now)
            rested = rested and size.left(due, now) >= size.burst / 2
        limit = max(waits, key=lambda limit: waits[limit])
        if waits[limit] < CLOCK_SECONDS:
            self._grant(now)
            if rested:
                self._held_since = None
            return None
        self._granted_at = now
        self._granted_messages = self._granted_bytes = self.messages_left = self.bytes_left = 0
        begins = self._held_since is None
        since = self._held_since = now if self._held_since is None else self._held_since
        left = since + rates.patience - now
        return Hold(max(LEAST_SECONDS, min(waits[limit], left)), limit, begins, left <= 0)

    def _grant(self, now: float) -> None:
        rates = self._rates
        self._granted_at = now
        self._granted_messages = _granted(rates.messages, self._messages_due, now, GRANTED_MESSAGES)
        self._granted_bytes = _granted(rates.bytes, self._bytes_due, now, GRANTED_BYTES)
        self.messages_left, self.bytes_left = self._granted_messages, self._granted_bytes

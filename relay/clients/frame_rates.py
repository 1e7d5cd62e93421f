"""How many frames a client may send that carry no whole message: control frames and small fragments.

They cost as much as messages, and no client needs many of them. Messages themselves are not counted here.
"""

from __future__ import annotations

from dataclasses import dataclass

SMALL_FRAGMENT_BYTES = 1024
"""Fragments of at least this size aren't counted: their bytes bound their number."""


@dataclass(frozen=True, slots=True)
class FrameRate:
    """A rate with a burst, kept as one number for each connection (the generic cell rate algorithm).

    The number is the time at which all frames so far would have arrived at the even rate. It is ahead of the clock
    by what was taken of the burst; no timer refills anything.

    Args:
        per_second: frames that a client may send for ever.
        burst: frames that it may send at once, after it was quiet.
    """

    per_second: float
    burst: int

    def count(self, due: float, now: float, frames: int) -> float | None:
        """Count frames that have arrived.

        Args:
            due: what the last call returned; 0 at first.
            now: loop time, in seconds.
            frames: how many.

        Returns:
            The new number; None when they are more than the rate and the burst allow.
        """
        due = max(due, now) + frames / self.per_second
        return due if due - now <= self.burst / self.per_second else None


CONTROL_FRAMES = FrameRate(per_second=50, burst=500)
"""Pings and pongs. Clients send one each few seconds; one that measures its latency sends perhaps ten a second. The
burst is for clients whose frames have waited, in a network or in a paused socket."""

FRAGMENTS = FrameRate(per_second=100, burst=4096)
"""Small fragments. The burst is the largest number of fragments that one message may have; a client that writes a
message while it is made up, word by word, stays below the rate."""

"""How long a client waits before it tries again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.5

STEADY_SECONDS: Final = 10.0
"""After a stream that lasted so long, pauses begin with the first one again."""


class Backoff:
    """Pauses with full jitter: any time up to a bound that doubles. Clients that lose a gateway together don't come
    back together.

    Args:
        longest_seconds: the bound grows no further.
        uniform: returns a random number between two.
    """

    def __init__(
        self,
        longest_seconds: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._longest_seconds = longest_seconds
        self._uniform = uniform
        self._failures = 0

    def pause(self, *, lasted_seconds: float = 0.0, retry_after_seconds: float = 0.0) -> float:
        """Return the seconds to wait after one more failure.

        Args:
            lasted_seconds: how long it had worked before.
            retry_after_seconds: for which the gateway asks; the jitter comes on top, as all are asked for the same.
        """
        self._failures = 1 if lasted_seconds > STEADY_SECONDS else self._failures + 1
        bound = min(self._longest_seconds, FIRST_SECONDS * 2.0 ** min(self._failures - 1, 16))
        return retry_after_seconds + self._uniform(0.0, bound)

"""Ctrl-C and SIGTERM: both end a comparison, and everything that it has started."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Ends this process by `SystemExit` when a signal comes; what clears up meanwhile isn't interrupted again."""

    def __init__(self) -> None:
        """Handle the signals from now on."""
        self._code = 0
        for signum in SIGNALS:
            signal.signal(signum, self._stop)

    def check(self) -> None:
        """End this process if a signal has come and its exception was lost: Python ignores those in finalizers."""
        if self._code:
            raise SystemExit(self._code)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self._code = 128 + signum
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(self._code)

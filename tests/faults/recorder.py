"""Records what happens in a run, in the order in which it happens."""

from __future__ import annotations

import time

from tests.faults.operations import History


class Recorder:
    """The record of a run.

    Attributes:
        history: everything so far.
        began: when the run began; monotonic seconds.
    """

    def __init__(self) -> None:
        self.history: History = []
        self.began = self.now()
        self.note = self.history.append

    @staticmethod
    def now() -> float:
        """Return the time of an operation."""
        return time.monotonic()

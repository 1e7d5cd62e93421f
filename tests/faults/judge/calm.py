"""The time without faults."""

from __future__ import annotations

from collections.abc import Iterable


class Calm:
    """When there were no faults.

    Args:
        faults: when each began and when it was healed, in seconds.
        at: when the run began.

    Attributes:
        began: when the last fault was healed, or the run began.
    """

    def __init__(self, faults: Iterable[tuple[float, float]], at: float) -> None:
        self._spells: list[tuple[float, float]] = []
        for began, ended in sorted(faults):
            if self._spells and began <= self._spells[-1][1]:
                self._spells[-1] = (self._spells[-1][0], max(ended, self._spells[-1][1]))
            else:
                self._spells.append((began, ended))
        self.began = self._spells[-1][1] if self._spells else at

    def after(self, at: float, seconds: float) -> float:
        """Return when there have been so many seconds without faults since some time."""
        for began, ended in self._spells:
            if ended <= at:
                continue
            if at + seconds <= began:
                break
            seconds -= max(0.0, began - at)
            at = ended
        return at + seconds

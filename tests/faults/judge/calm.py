"""The time without faults."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from tests.faults.operations import Fault


class Calm:
    """When there were no faults.

    Args:
        faults: all of the run.
        at: when it began.

    Attributes:
        began: when the last fault was healed, or the run began.
    """

    def __init__(self, faults: Iterable[Fault], at: float) -> None:
        self._faults = list(faults)
        self.began = max((fault.ended for fault in self._faults), default=at)
        # The spells of faults that concern one gateway, or all; put together when they are asked for.
        self._spells: dict[int | None, list[tuple[float, float]]] = {}

    def after(self, at: float, seconds: float, gateway: int | None) -> float:
        """Return when there have been so many seconds without faults since some time.

        Args:
            at: the time.
            seconds: how many.
            gateway: number of the gateway that they must not concern; None: any.
        """
        spells = self._spells_of(gateway)
        for began, ended in spells[max(0, bisect_right(spells, (at,)) - 1) :]:
            if ended <= at:
                continue
            if at + seconds <= began:
                break
            seconds -= max(0.0, began - at)
            at = ended
        return at + seconds

    def _spells_of(self, gateway: int | None) -> list[tuple[float, float]]:
        """Return the spells of faults that concern a gateway, without those that lie in others."""
        if gateway in self._spells:
            return self._spells[gateway]
        spells: list[tuple[float, float]] = []
        for fault in sorted(self._faults, key=lambda fault: fault.at):
            if fault.gateway is not None and gateway is not None and fault.gateway != gateway:
                continue
            if spells and fault.at <= spells[-1][1]:
                spells[-1] = spells[-1][0], max(fault.ended, spells[-1][1])
            else:
                spells.append((fault.at, fault.ended))
        self._spells[gateway] = spells
        return spells

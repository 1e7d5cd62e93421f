"""Other processes that share a gateway's port: whoever asks one of them means all."""

from __future__ import annotations

from typing import Protocol

from relay.metrics.snapshot import Snapshot


class Siblings(Protocol):
    """Speaks for all processes that share the port, the one that asks included."""

    async def problems(self) -> list[str]:
        """Return what keeps them from serving clients; empty when all are ready.

        Raises:
            TimeoutError: nobody can tell.
        """

    async def snapshot(self) -> Snapshot:
        """Return the sum of their numbers.

        Raises:
            TimeoutError: nobody can tell.
        """

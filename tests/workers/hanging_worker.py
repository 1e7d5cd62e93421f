"""A worker that computes for ever once it gets SIGUSR1."""

from __future__ import annotations

import signal
import sys


def compute(number: int, frame: object) -> None:
    """Never return."""
    while True:
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, compute)
    from relay.cli.worker_process import main

    sys.exit(main())

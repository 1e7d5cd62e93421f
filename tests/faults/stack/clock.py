"""The clock of a process, which can jump; by libfaketime, where that is installed."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from typing import Final

_PLACES: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")


def library() -> str | None:
    """Return the path of the library; None: it isn't here."""
    return next((path for pattern in _PLACES for path in glob(pattern)), None)


def unavailable() -> str:
    """Return why clocks can't jump here; empty: they can."""
    return "" if library() else "libfaketime is not installed"


class Clock:
    """The clock of the day of a process. The clock that only goes forward stays as it is, as on real machines.

    Args:
        folder: where it is set.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.jump(0)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that goes by it."""
        return {
            "LD_PRELOAD": library() or "",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        """Differ from the true time by so much, within a second."""
        self._file.write_text(f"{seconds:+d}s\n")

"""Timers with a precision of some tens of microseconds.

Event loops count in milliseconds: uvloop and asyncio round a deadline up to the next one, which would add up to a
millisecond to every latency that is measured from it. Linux has timerfd(2). Elsewhere the loop's own timer has to do;
the lag that it causes is measured and shown like any other.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE: Final = 1


class _Times(ctypes.Structure):
    """The C struct itimerspec: interval and moment, each in seconds and nanoseconds."""

    _fields_ = [  # the form that ctypes requires
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("moment_s", ctypes.c_long),
        ("moment_ns", ctypes.c_long),
    ]


class LoopTimer:
    """A timer with the event loop's precision.

    Args:
        callback: called once for each `set`.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def set(self, moment: int) -> None:
        """Expire at a moment in ns of the monotonic clock; replaces the moment set before."""
        self.clear()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(max(0.0, (moment - time.monotonic_ns()) / 1e9), self._callback)

    def clear(self) -> None:
        """Cancel the moment that is set."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def close(self) -> None:
        """Release the timer; it can't be set again."""
        self.clear()


class LinuxTimer:
    """A timer on a timerfd(2).

    Args:
        callback: called once for each `set`.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._settime = self._libc.timerfd_settime
        self._times = _Times()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._expired)

    def set(self, moment: int) -> None:
        """Expire at a moment in ns of the monotonic clock; replaces the moment set before."""
        times = self._times
        times.moment_s, times.moment_ns = divmod(moment, 1_000_000_000)
        self._settime(self._descriptor, _ABSOLUTE, ctypes.byref(times), None)

    def clear(self) -> None:
        """Cancel the moment that is set."""
        self._settime(self._descriptor, 0, ctypes.byref(_Times()), None)

    def close(self) -> None:
        """Release the timer; it can't be set again."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expired(self) -> None:
        # The descriptor stays readable until it is read; setting the timer anew in the meantime resets it, too.
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        self._callback()


def new_timer(callback: Callable[[], None]) -> LoopTimer | LinuxTimer:
    """Return the most precise timer that this system has; call inside a running event loop."""
    return LinuxTimer(callback) if sys.platform == "linux" else LoopTimer(callback)

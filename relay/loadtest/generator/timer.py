"""A timer that is right to some tens of microseconds.

Event loops count in milliseconds: uvloop and asyncio round a deadline up to the next one, which would add up to a
millisecond to every latency that is measured from it. Linux has timers that are files; elsewhere the loop's own
has to do, and the lag that it causes is measured and shown like any other.
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

    _fields_ = [  # ctypes wants it as it is
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("moment_s", ctypes.c_long),
        ("moment_ns", ctypes.c_long),
    ]


class LoopAlarm:
    """Calls back at a moment, with the event loop's precision.

    Args:
        callback: what to call; once for each `set`.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def set(self, moment: int) -> None:
        """Call back at a moment in ns of the monotonic clock, and not at the one set before."""
        self.clear()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(max(0.0, (moment - time.monotonic_ns()) / 1e9), self._callback)

    def clear(self) -> None:
        """Don't call back."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def close(self) -> None:
        """End it for good."""
        self.clear()


class TimerAlarm:
    """Calls back at a moment, woken by a timerfd(2).

    Args:
        callback: what to call; once for each `set`.
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
        self._loop.add_reader(self._descriptor, self._ring)

    def set(self, moment: int) -> None:
        """Call back at a moment in ns of the monotonic clock, and not at the one set before."""
        times = self._times
        times.moment_s, times.moment_ns = divmod(moment, 1_000_000_000)
        self._settime(self._descriptor, _ABSOLUTE, ctypes.byref(times), None)

    def clear(self) -> None:
        """Don't call back."""
        self._settime(self._descriptor, 0, ctypes.byref(_Times()), None)

    def close(self) -> None:
        """End it for good."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _ring(self) -> None:
        # Reading is what makes the timer silent again; it is silent when it was set anew in the meantime.
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        self._callback()


def alarm(callback: Callable[[], None]) -> LoopAlarm | TimerAlarm:
    """Return the most precise alarm of this system; call inside a running event loop."""
    return TimerAlarm(callback) if sys.platform == "linux" else LoopAlarm(callback)

"""The native half, loaded without any header of Python; see `native.c`."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Final

from relay.errors import RelayError

INTERFACE: Final = 2
"""Of the library that fits this module; `native.c` has the same number."""

PATH: Final = Path(__file__).with_name("native.so.1")
"""Where the build leaves it."""


class Delivery(ctypes.Structure):
    """What one group of sockets gets; `struct delivery` of `native.c`."""

    _fields_ = (
        ("descriptors", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("data", ctypes.c_char_p),
        ("bytes", ctypes.c_size_t),
    )


class FanOutUnavailable(RelayError):
    """A way to fan out that isn't there; says why."""


@cache
def load() -> ctypes.CDLL:
    """Return the library.

    Raises:
        FanOutUnavailable: there is none, or not the right one.
    """
    if not PATH.exists():
        raise FanOutUnavailable("there was no C compiler when relay was installed")
    try:
        library = ctypes.CDLL(str(PATH))
        library.relay_fan_out_interface.restype = ctypes.c_int
        interface = library.relay_fan_out_interface()
    except (OSError, AttributeError) as error:
        raise FanOutUnavailable(f"what was compiled can't be loaded: {error}") from error
    if interface != INTERFACE:
        raise FanOutUnavailable("what was compiled is of another version of relay: install it again")
    library.relay_fan_out_open.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_void_p)]
    library.relay_fan_out_open.restype = ctypes.c_int
    library.relay_fan_out_close.argtypes = [ctypes.c_void_p]
    library.relay_fan_out_close.restype = None
    size, address = ctypes.c_size_t, ctypes.c_void_p
    library.relay_fan_out_write.argtypes = [
        address,  # what `make` has returned
        *(address, size),  # descriptors
        *(address, size),  # states
        *(ctypes.c_char_p, size),  # data
        address,  # what was not taken
    ]
    library.relay_fan_out_write.restype = ctypes.c_int64
    library.relay_fan_out_write_together.argtypes = [
        address,  # what `make` has returned
        *(ctypes.POINTER(Delivery), size),  # deliveries
        *(address, size),  # states
        address,  # what was not taken
        ctypes.POINTER(ctypes.c_uint64),  # how many went out with another one
    ]
    library.relay_fan_out_write_together.restype = ctypes.c_int64
    return library


def make(*, io_uring: bool) -> int:
    """Return what `relay_fan_out_write` needs; the thread that calls this is the one that may write.

    Raises:
        FanOutUnavailable: it isn't there, or isn't allowed.
    """
    made = ctypes.c_void_p()
    failed = load().relay_fan_out_open(io_uring, ctypes.byref(made))
    if failed or made.value is None:
        raise FanOutUnavailable(
            f"the kernel refuses io_uring: {os.strerror(-failed)}" if io_uring else os.strerror(-failed)
        )
    return made.value

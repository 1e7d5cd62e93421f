"""Standard streams as a command may find them: closed, full, without a reader, in an encoding of long ago."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

import click

from relay.system_error import in_words


class _Forgiving(io.TextIOWrapper):
    """Standard error whose own errors there is no place to tell: the exit code has to do."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Make standard streams fit to be written to.

    A closed one becomes /dev/null: the next file or socket that is opened would take its number, and get what is
    written to it. What an encoding lacks is escaped. Standard input that is closed stays None in `sys`.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one. Workers inherit it: libuv ends a process that closes such a number.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if type(sys.stderr) is io.TextIOWrapper:
        encoding = sys.stderr.encoding
        sys.stderr = _Forgiving(sys.stderr.detach(), encoding, "backslashreplace", line_buffering=True)


def confirm(text: str) -> None:
    """Print what a command has done. It was done, and the exit code says so, also when this can't be written."""
    try:
        click.echo(text)
    except OSError as error:
        click.secho(f"relay: {text}; {unwritable(error)}", fg="yellow", err=True)
        silence(sys.stdout)


def flush_output() -> None:
    """Write what is left of standard output.

    Raises:
        OSError: it can't be written.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def is_unwritable(error: OSError) -> bool:
    """Return whether an error is one of writing to a stream that takes no more."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
    return error.errno in full and error.filename is None


def unwritable(error: OSError) -> str:
    """Return the words for it."""
    return f"standard output can't be written: {in_words(error)}"


def silence(stream: TextIO) -> None:
    """Let what is left in a stream go nowhere, so that the interpreter doesn't complain when it flushes it."""
    with suppress(OSError):  # it is in memory
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

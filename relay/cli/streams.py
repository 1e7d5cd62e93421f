"""The standard streams of a command, which may be closed, full, without a reader, or in a narrow encoding."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

import click

from relay.system_error import in_words


class _LenientStream(io.TextIOWrapper):
    """Standard error that ignores its own errors: there is no place to report them but the exit code."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Make the standard streams safe to write to.

    A closed one becomes /dev/null: the next file or socket that is opened would take its descriptor, and receive what
    is written to it. Characters that the encoding lacks are escaped. `sys.stdin` stays None when it is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is this one. Workers inherit it: libuv aborts when it is closed.
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
        sys.stderr = _LenientStream(sys.stderr.detach(), encoding, "backslashreplace", line_buffering=True)


def confirm(text: str) -> None:
    """Print what a command has done. When this can't be written, it was done all the same, and the exit code is 0."""
    try:
        click.echo(text)
    except OSError as error:
        click.secho(f"relay: {text}; {unwritable(error)}", fg="yellow", err=True)
        silence(sys.stdout)


def flush_output() -> None:
    """Write what is buffered for standard output.

    Raises:
        OSError: it can't be written.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def is_unwritable(error: OSError) -> bool:
    """Return whether an error comes from a write to a stream that is full, broken or closed."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
    return error.errno in full and error.filename is None


def unwritable(error: OSError) -> str:
    """Return the message for an error of writing to standard output."""
    return f"standard output can't be written: {in_words(error)}"


def silence(stream: TextIO) -> None:
    """Discard what is buffered in a stream, so that the interpreter reports no error when it flushes the stream."""
    with suppress(OSError):  # it is in memory, and has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_json(encoded: bytes) -> None:
    """Print JSON as one line, for programs that read line by line.

    Messages, and what back ends say of clients, are JSON that others have written. Its line breaks stand between
    tokens, of which no two can grow together: within strings they are escaped.
    """
    click.echo(encoded.translate(None, b"\r\n"))

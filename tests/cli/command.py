"""The command `relay`, as its user types it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from relay.cli import main
from tests.cli.forked_command import ForkedCommand
from tests.harness.forked_process import may_fork

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended.

    Args:
        code: exit code, or the negative number of a signal.
        output: what it wrote to standard output.
        errors: what it wrote to standard error.
    """

    code: int
    output: str
    errors: str


def invoke(*arguments: str, stdin: bytes = b"", color: bool = False) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, arguments, prog_name="relay", input=stdin, color=color)


async def invoke_aside(*arguments: str, stdin: bytes = b"") -> Outcome:
    """Run the command in this process, in a thread, beside the servers that it talks to."""
    result = await asyncio.to_thread(invoke, *arguments, stdin=stdin)
    return Outcome(result.exit_code, result.stdout, result.stderr)


@asynccontextmanager
async def running(
    *arguments: str, output: int = PIPE, errors: int = PIPE, **environment: object
) -> AsyncIterator[Process | ForkedCommand]:
    """Run the command in a process of its own; killed at the end when it still runs.

    It is a fork of a process that has loaded everything, unless its variables might have it load something else.

    Args:
        *arguments: of the command line.
        output: file descriptor to use as standard output.
        errors: file descriptor to use as standard error.
        **environment: variables on top of those of this process.
    """
    async with _process(arguments, output, environment, errors) as process:
        yield process


async def run(*arguments: str, **environment: object) -> Outcome:
    """Run the command in a process of its own until it ends."""
    async with _process(arguments, PIPE, environment) as process:
        return await _outcome(process)


async def run_anew(*arguments: str) -> Outcome:
    """Do what `run` does, with a Python that loads everything itself."""
    return await _outcome(await _start_anew(arguments, {**os.environ, "PYTHONPATH": str(ROOT)}))


async def _outcome(process: Process | ForkedCommand) -> Outcome:
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, output.decode(), errors.decode())


async def on_terminal(*arguments: str, columns: int, **environment: object) -> tuple[int | None, str]:
    """Run the command with a terminal as its standard output; return its exit code and what the terminal got."""
    terminal, output = pty.openpty()
    fcntl.ioctl(output, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    os.set_blocking(terminal, False)
    shown = bytearray()

    def read() -> None:
        with suppress(OSError):  # nothing is there
            while chunk := os.read(terminal, 65536):
                shown.extend(chunk)

    loop = asyncio.get_running_loop()
    loop.add_reader(terminal, read)
    variables = {"TERM": "xterm-256color", "COLUMNS": columns, **environment}
    try:
        async with _process(arguments, output, variables) as process:
            await process.communicate()
        read()
    finally:
        loop.remove_reader(terminal)
        os.close(output)
        os.close(terminal)
    return process.returncode, shown.decode()


@asynccontextmanager
async def _process(
    arguments: Sequence[str], output: int, environment: Mapping[str, object], errors: int = PIPE
) -> AsyncIterator[Process | ForkedCommand]:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **{name: str(value) for name, value in environment.items()}}
    process: Process | ForkedCommand
    if may_fork(variables):
        process = await ForkedCommand.start(arguments, variables, output, errors)
    else:
        process = await _start_anew(arguments, variables, output, errors)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        if isinstance(process, ForkedCommand):
            process.close()


async def _start_anew(
    arguments: Sequence[str], variables: Mapping[str, str], output: int = PIPE, errors: int = PIPE
) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relay", *arguments),
        stdin=DEVNULL,
        stdout=output,
        stderr=errors,
        env=variables,
    )

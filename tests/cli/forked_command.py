"""The command `relay` in a process of its own that need not load it first."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Self

from tests.harness.forked_process import ForkedProcess
from tests.harness.forked_worker import AsyncProcess


class ForkedCommand(AsyncProcess):
    """`python -m relay` with arguments; has what is used of `asyncio.subprocess.Process`.

    Args:
        process: that runs.

    Attributes:
        stdout: its standard output, where that is a pipe.
        stderr: its standard error, where that is a pipe.
    """

    def __init__(self, process: ForkedProcess) -> None:
        super().__init__(process)
        self._transports: list[asyncio.ReadTransport] = []
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: int = PIPE,
        errors: int = PIPE,
        *,
        module: str = "relay",
        kept: Sequence[int] = (),
    ) -> Self:
        """Start it in the present folder, without standard input.

        Args:
            arguments: of the command line.
            environment: all of its variables.
            output: file descriptor to use as standard output, or PIPE.
            errors: file descriptor to use as standard error, or PIPE.
            module: what runs instead.
            kept: file descriptors that it inherits.
        """
        with ExitStack() as stack:
            pipes = {}
            descriptors = {0: os.open(os.devnull, os.O_RDONLY), **{number: number for number in kept}}
            stack.callback(os.close, descriptors[0])
            for number, given in ((1, output), (2, errors)):
                assert given not in (DEVNULL, asyncio.subprocess.STDOUT)
                descriptors[number] = given
                if given == PIPE:
                    pipes[number], descriptors[number] = os.pipe()
                    stack.callback(os.close, descriptors[number])
            process = ForkedProcess(
                *arguments, environment=environment, folder=os.getcwd(), descriptors=descriptors, module=module
            )
        command = cls(process)
        for number, end in pipes.items():
            reader = await command._read_from(end)
            if number == 1:
                command.stdout = reader
            else:
                command.stderr = reader
        return command

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return what it still writes, once it has ended."""
        output, errors = await asyncio.gather(*map(_rest, (self.stdout, self.stderr)))
        await self.wait()
        return output, errors

    def close(self) -> None:
        """Close the pipes."""
        for transport in self._transports:
            transport.close()

    async def _read_from(self, end: int) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(end, "rb"))
        self._transports.append(transport)
        return reader


async def _rest(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()

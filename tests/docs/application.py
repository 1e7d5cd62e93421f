"""A web application that stands on a page: written into a folder of its own, and run there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness import guard
from tests.harness.conditions import PATIENCE_SECONDS, wait_until_blocking
from tests.harness.free_port import accepts, free_port


class Application:
    """A process that listens on `port`. A context manager.

    Args:
        files: path of each below the folder, and its text.
        command: that starts it, without a shell; `{port}` in it stands for the port.
        variables: of its environment; `{port}` as above.
        preparations: commands that are run before, one after the other.
        port: TCP port of 127.0.0.1; None: any free one.
        sign: words that it writes once it works; None: it works once it listens.

    Attributes:
        port: TCP port of 127.0.0.1.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        command: Sequence[str],
        variables: Mapping[str, str],
        preparations: Sequence[Sequence[str]] = (),
        *,
        port: int | None = None,
        sign: str | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="relay-application-")
        self.port = port or free_port()
        self._sign = sign
        for path, text in files.items():
            file = Path(self._folder.name) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._command = [word.replace("{port}", str(self.port)) for word in command]
        self._preparations = preparations
        placed = {name: value.replace("{port}", str(self.port)) for name, value in variables.items()}
        self._environment = {**os.environ, **placed}
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str]) -> None:
        """Run a command in its folder, with its environment."""
        done = subprocess.run(
            command, cwd=self._folder.name, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def output(self) -> str:
        """What it has written so far."""
        return (Path(self._folder.name) / "output").read_text(errors="replace")

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        for command in self._preparations:
            self.run(command)
        with (folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # some have workers, which end with it
            )
        guard.watch(self._process.pid)
        try:
            wait_until_blocking(self._up, PATIENCE_SECONDS, "the application listens")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            guard.unwatch(self._process.pid)
            # Captured, and shown when the test fails.
            sys.stdout.write(f"--- {self._command} on port {self.port}\n{self.output}")
        self._folder.cleanup()

    def _up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output
        return accepts(self.port) if self._sign is None else self._sign in self.output

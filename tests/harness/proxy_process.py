"""A proxy of another make in front of gateways: the system's own program with a configuration of the test's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import accepts, free_port


class ProxyProcess:
    """A process that listens on a port of 127.0.0.1. A context manager.

    Args:
        program: its name; the test is skipped where it isn't installed.
        tls: certificate and key, in one PEM text, when the port speaks TLS.

    Attributes:
        port: that clients connect to.
    """

    def __init__(self, program: str, *, tls: str | None = None) -> None:
        # Debian has such programs where only root's path leads.
        found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
        if found is None:
            pytest.skip(f"{program} is not installed: apt-get install {program}")
        self._program = found
        self._folder = tempfile.TemporaryDirectory(prefix="relay-proxy-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.certificate = self.folder / "certificate.pem"
        if tls is not None:
            self.certificate.write_text(tls)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return Path(self._folder.name)

    @property
    def output(self) -> str:
        """What it has written so far."""
        return (self.folder / "output").read_text(errors="replace")

    def command(self, config: Path) -> list[str]:
        """Return the arguments with which it stays in the foreground."""
        raise NotImplementedError

    def configuration(self) -> str:
        """Return the text of its configuration."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        config = self.folder / "proxy.conf"
        config.write_text(self.configuration())
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [self._program, *self.command(config)], stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        try:
            wait_until_blocking(self._up, 20, "the proxy listens")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            # Captured, and shown when the test fails.
            sys.stdout.write(f"--- {self._program} on port {self.port}\n{self.output}")
        self._folder.cleanup()

    def _up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output
        return accepts(self.port)

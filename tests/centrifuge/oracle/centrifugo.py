"""Centrifugo as a process, where there is one on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.peers.__main__ import default_cache
from bench.peers.centrifugo import Centrifugo
from tests.centrifuge.oracle.server import Server
from tests.centrifuge.oracle.setups import Setup
from tests.harness import guard
from tests.harness.conditions import PATIENCE_SECONDS, wait_until_blocking
from tests.harness.free_port import accepts, free_port


def find_centrifugo() -> str | None:
    """Return the program, which `python -m bench.peers` installs; None without one."""
    return shutil.which(_peer().program)


def install_centrifugo() -> str | None:
    """Install it, if Go can; return why it can't, or None."""
    return _peer().install()


def version_of() -> str:
    """Return the version of the program that is installed."""
    found = re.search(r"Centrifugo (\S+),", _peer().version())
    return found[1] if found else _peer().version()


def _peer() -> Centrifugo:
    return Centrifugo(default_cache() / Centrifugo.name)


class CentrifugoProcess:
    """One node of it. A context manager.

    Args:
        program: its path.
        setup: how it is set up.
        redis_port: of a Redis that several nodes share; None: the node is alone, and keeps all in its memory.
    """

    def __init__(self, program: str, setup: Setup, redis_port: int | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="relay-centrifugo-")
        folder = Path(self._directory.name)
        self._log = folder / "log"
        self.port = free_port()
        configuration = dict(setup.centrifugo)
        if redis_port is not None:
            configuration["engine"] = {"type": "redis", "redis": {"address": f"redis://127.0.0.1:{redis_port}"}}
        (folder / "config.json").write_text(json.dumps(configuration))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CENTRIFUGO_", "RELAY_"))
        }
        environment |= {"CENTRIFUGO_HTTP_SERVER_PORT": str(self.port), "GOMAXPROCS": "2"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "--config", str(folder / "config.json")], env=environment, stdout=log, stderr=log
            )
        guard.watch(self._process.pid)

    def __enter__(self) -> Self:
        try:
            wait_until_blocking(self._listens, PATIENCE_SECONDS, "Centrifugo listens")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def server(self) -> Server:
        """Where it is."""
        return Server(self.port)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        guard.unwatch(self._process.pid)

    def close(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        self._directory.cleanup()

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"Centrifugo ended: {self.output[-2000:]}")
        return accepts(self.port)

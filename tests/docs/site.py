"""An example of docs/guide.md beside a Redis and a relay, on free ports, with the settings of the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.docs.application import Application
from tests.docs.pages import ROOT, code_blocks
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer

PAGE = "docs/guide.md"
EXAMPLES = ROOT / "docs/examples"
PROGRAMS = Path(sys.executable).parent

WRITE = "cat > ~/live/.env"
"""How the page writes the file of settings."""

_SHELL = ["sh", "-euc"]


def commands(words: str) -> str:
    """Return the one block of commands of the page in which some words stand."""
    (found,) = (code for code in code_blocks(PAGE, "sh") if words in code)
    return found


@cache
def written_settings() -> dict[str, str]:
    """Write the page's file of settings, load it as the page does, and return what that has set."""
    (load,) = set(re.findall(r"^set -a.*", "\n".join(code_blocks(PAGE, "sh")), re.MULTILINE))
    words = [*_SHELL, f"mkdir ~/live\n{commands(WRITE)}\n{load}\nenv -0"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    plain["PATH"] = f"{PROGRAMS}:{plain['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        plain["HOME"] = folder
        done = subprocess.run(words, cwd=folder, env=plain, check=True, capture_output=True, text=True)
    pairs = (line.partition("=") for line in done.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs if plain.get(name) != value and name not in ("PWD", "_", "SHLVL")}


class Site:
    """Where the parts of one example are.

    Args:
        redis: that it uses; None: it needs none.

    Attributes:
        port: of the application, instead of 8080.
        relay_port: instead of 8000.
    """

    def __init__(self, redis: RedisServer | None) -> None:
        self.port = free_port()
        self.relay_port = free_port()
        # A browser of the tests reaches 127.0.0.1 alone.
        self._places = {
            "localhost:8080": f"127.0.0.1:{self.port}",
            "localhost:8000": f"127.0.0.1:{self.relay_port}",
            "port=8000": f"port={self.relay_port}",
            "--port 8080": f"--port {self.port}",
            "redis://localhost:6379": redis.url if redis else "redis://nowhere",
        }

    @property
    def url(self) -> str:
        """Of the application's page."""
        return f"http://127.0.0.1:{self.port}/"

    def here(self, text: str) -> str:
        """Return a text of the page with the places of this site."""
        for written, used in self._places.items():
            text = text.replace(written, used)
        return text

    def do(self, code: str) -> None:
        """Run commands of the page."""
        subprocess.run([*_SHELL, self.here(code)], check=True, capture_output=True, timeout=60)

    def variables(self) -> dict[str, str]:
        """Return the settings that the page writes, with the places of this site."""
        return {name: self.here(value) for name, value in written_settings().items()}

    def relay(self, variables: dict[str, str]) -> GatewayProcess:
        """Launch the relay, with those of some variables that are its settings."""
        names = {name: name.removeprefix("RELAY_").lower() for name in variables if name.startswith("RELAY_")}
        gateway = GatewayProcess(port=self.relay_port, **{names[name]: variables[name] for name in names})
        gateway.start_blocking()
        return gateway

    def application(
        self,
        example: str,
        start: str,
        variables: dict[str, str],
        preparations: Sequence[Sequence[str]] = (),
        sign: str | None = None,
    ) -> Application:
        """Return the program of an example.

        Args:
            example: folder of docs/examples.
            start: how it is started, as a line of the page.
            variables, preparations, sign: see `Application`.
        """
        files = {
            str(path.relative_to(EXAMPLES)): self.here(path.read_text())
            for path in EXAMPLES.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert re.search(rf"^{re.escape(start)}$", "\n".join(code_blocks(PAGE, "sh")), re.MULTILINE), start
        words = f"cd {example} && exec {PROGRAMS}/{self.here(start)}"
        return Application(files, [*_SHELL, words], variables, preparations, port=self.port, sign=sign)

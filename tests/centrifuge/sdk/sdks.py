"""The SDKs: how each is installed, and how its driver is started."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.harness.forked_process import ROOT

HERE = Path(__file__).parent
OLDEST_NODE = 20


class NotHere(Exception):
    """An SDK that can't run on this machine; the text says why."""


PYTHON = [sys.executable, str(HERE / "python_driver.py")]
"""Command of the driver of the SDK for Python, which is a dependency of the tests."""

FOLDER = ROOT / ".venv-sdk"
"""Where `make sdk` installs them: by the tools' own settings of the machine, which tests don't see."""

_JAVASCRIPT = FOLDER / "javascript"
_GO = FOLDER / "go" / "driver"


def install_javascript() -> None:
    """Install exactly what the lock file names."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotHere("there is no Node with npm here: the SDK for JavaScript is left out")
    version = _output(node, "--version").removeprefix("v")
    if int(version.partition(".")[0]) < OLDEST_NODE:
        raise NotHere(f"Node {version} is older than {OLDEST_NODE}: the SDK for JavaScript is left out")
    lock = (HERE / "javascript" / "package-lock.json").read_text()
    mark = _JAVASCRIPT / "node_modules" / ".installed"
    shutil.copytree(HERE / "javascript", _JAVASCRIPT, dirs_exist_ok=True)
    if not mark.exists() or mark.read_text() != lock:
        # No script needs to run.
        _output(npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", folder=_JAVASCRIPT)
        mark.write_text(lock)


def install_go() -> None:
    """Let Go compile the driver."""
    go = shutil.which("go")
    if go is None:
        raise NotHere("there is no Go here: the SDK for Go is left out")
    _GO.parent.mkdir(parents=True, exist_ok=True)
    _output(go, "build", "-o", str(_GO), ".", folder=HERE / "go")


INSTALLERS = (install_javascript, install_go)


def javascript() -> Path:
    """Return the folder with the SDK for JavaScript and its drivers."""
    if not (_JAVASCRIPT / "node_modules" / ".installed").exists():
        raise NotHere("the SDK for JavaScript isn't installed: make sdk")
    return _JAVASCRIPT


def _node() -> list[str]:
    return ["node", str(javascript() / "driver.mjs")]


def _go() -> list[str]:
    if not _GO.exists():
        raise NotHere("the SDK for Go isn't compiled: make sdk")
    return [str(_GO)]


DRIVERS: dict[str, Callable[[], list[str]]] = {"JavaScript": _node, "Go": _go}
"""Name of an SDK → what returns the command of its driver, or raises `NotHere`."""


def _output(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"{' '.join(command[:2])} failed: {(done.stdout + done.stderr)[-500:]}")
    return done.stdout.strip()

"""`python -m bench.compare` as it is typed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout of git"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server"),
]


def command(*options: str | Path) -> list[str]:
    """Return the command that compares the working tree with its commit, briefly."""
    brief = ["--patience", "0", "--only", "handshakes", "--seconds", "0.1"]
    return [sys.executable, "-m", "bench.compare", "HEAD", *brief, *map(str, options)]


def test_it_prints_a_table_and_writes_a_file(tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    options = ("--pairs", "1", "--json", file, "--fail-above", "1000")
    done = subprocess.run(command(*options), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "µs of CPU per handshake" in done.stdout
    assert "pair 1 of 1: handshakes" in done.stderr
    figures = json.loads(file.read_text())["figures"]
    assert [len(figure["pair_ratios"]) for figure in figures] == [1, 1]


def test_a_ratio_that_is_too_high_ends_with_code_1() -> None:
    options = ("--pairs", "1", "--fail-above", "0.001")
    done = subprocess.run(command(*options), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "FAIL" in done.stdout


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_everything_that_was_started(signum: signal.Signals, tmp_path: Path) -> None:
    """Redis, the gateway, and the folder of the copies; after SIGKILL that one stays, as nothing can remove it."""
    process = subprocess.Popen(
        command("--pairs", "1000"),
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("pair 1 of 1000")
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signum)
        assert process.wait(60) == (-signum if signum == signal.SIGKILL else 128 + signum)
    finally:
        process.kill()
        process.communicate()
    assert children
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.wait(10)
        assert not child.is_running()
    assert signum == signal.SIGKILL or not list(tmp_path.iterdir())


def test_an_unknown_revision_is_an_error_in_one_line() -> None:
    words = [sys.executable, "-m", "bench.compare", "nothing", "--only", "handshakes"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "Error: git knows no commit 'nothing'\n")

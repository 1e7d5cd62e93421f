"""One failure never hides the others, however hard it is to report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

_UNSHOWABLE = """
class Unshowable(Exception):
    @property
    def __cause__(self):
        raise SystemError("no words")

def test_it():
    raise Unshowable
"""

# Each collection parses something while pytest parses this file, as a warning about an unclosed transport does.
_COLLECTED = """
import ast, gc

class Loop:
    def __init__(self):
        self.me = self

    def __del__(self):
        ast.parse("a = 1")
        if alive:
            Loop()

alive = True

def deeper(levels):
    if levels:
        deeper(levels - 1)
    Loop()
    gc.set_threshold(20)
    assert not levels

def test_it():
    deeper(3)

def test_later():
    global alive
    gc.set_threshold(700)
    alive = False
    gc.collect()
    assert 0
"""


@pytest.mark.parametrize(("failing", "count", "words"), [(_UNSHOWABLE, 1, "no words"), (_COLLECTED, 2, "assert")])
def test_a_failure_that_is_hard_to_report_does_not_end_the_run(
    tmp_path: Path, failing: str, count: int, words: str
) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.harness.failure_report import pytest_runtest_makereport as pytest_runtest_makereport\n"
    )
    (tmp_path / "test_a.py").write_text(failing)
    (tmp_path / "test_b.py").write_text("def test_failing():\n    assert not 1\n\ndef test_passing():\n    pass\n")
    # Of the plugins only one whose hook does not let exceptions through.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"]
    result = subprocess.run(
        [*command, "-c", "/dev/null", "-W", "error", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 1, result.stdout
    assert f"{count + 1} failed, 1 passed" in result.stdout
    assert words in result.stdout

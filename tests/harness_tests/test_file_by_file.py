"""A process of xdist loads only the files that it runs, and runs the same tests in the same way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_CONFTEST = """
from pathlib import Path
import pytest
from tests.harness.file_by_file import FileByFile

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(FileByFile())

def say(words):
    with Path(__file__).with_name("said").open("a") as file:
        file.write(words + "\\n")

@pytest.fixture(scope="session")
def whole_run():
    say("session begins")
    yield
    say("session ends")

@pytest.fixture(scope="module")
def whole_file(request, whole_run):
    say(f"{request.path.stem} begins")
    yield
    say(f"{request.path.stem} ends")
"""

_TESTS = """
import pytest
from conftest import say

say(__name__.rpartition(".")[2] + " is loaded")

@pytest.mark.parametrize("number", [1, 2])
def test_passing(whole_file, number):
    say(f"runs {number}")

def test_left_out():
    assert 0

@pytest.mark.skip
def test_passing_over():
    assert 0
"""


def _run(folder: Path, *options: str) -> tuple[str, list[str]]:
    """Run the tests of a folder in one process of xdist; return what pytest said, and what they did."""
    (folder / "conftest.py").write_text(_CONFTEST)
    plugins = [word for name in ("xdist", "pytest_timeout", "no:cacheprovider") for word in ("-p", name)]
    usual = ["-c", "/dev/null", "-W", "error", "--import-mode=importlib", "--rootdir", str(folder)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *usual, "-n", "1", "--dist", "loadfile", *options, str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = folder / "said"
    return result.stdout, said.read_text().splitlines() if said.exists() else []


def test_a_file_is_loaded_when_its_turn_comes_and_fixtures_live_as_long_as_ever(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text(_TESTS)

    told, said = _run(tmp_path, "-k", "passing")

    assert "4 passed, 2 skipped" in told, told
    assert said == [
        "test_a is loaded",
        "session begins",
        *("test_a begins", "runs 1", "runs 2", "test_a ends"),
        "test_b is loaded",
        *("test_b begins", "runs 1", "runs 2", "test_b ends"),
        "session ends",
    ]


def test_what_fails_is_told_file_by_file_and_hides_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("import no_such_module\n")
    (tmp_path / "test_b.py").write_text("def test_it():\n    assert 1 == 2\n")
    (tmp_path / "test_c.py").write_text("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    (tmp_path / "test_d.py").write_text("def test_it():\n    pass\n")

    told, _ = _run(tmp_path, "-ra")

    assert "1 failed, 1 passed, 1 skipped, 1 error" in told, told
    for words in (
        "FAILED test_b.py::test_it - assert 1 == 2",
        "ModuleNotFoundError: No module named 'no_such_module'",
        "ERROR test_a.py",
        "SKIPPED [1] test_c.py:2: not here",
    ):
        assert words in told, told


def test_a_file_of_which_no_test_is_chosen_leaves_nothing_set_up(tmp_path: Path) -> None:
    """The next one may be in another folder."""
    for name, test in (("a/test_a", "chosen"), ("a/test_b", "left_out"), ("c/test_c", "chosen")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(f"def test_{test}():\n    pass\n")
    said, _ = _run(tmp_path, "-k", "chosen")
    assert "2 passed" in said
    assert "error" not in said

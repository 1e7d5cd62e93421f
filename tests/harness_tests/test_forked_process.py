"""Processes of the command `relay` that are forks of one that has loaded it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.harness.forked_process import ForkedProcess, start


def started(tmp_path: Path, *arguments: str, **variables: str) -> ForkedProcess:
    """Start a process in this process's environment, with some variables more."""
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2]), **variables}
    process = start(*arguments, environment=environment, folder=os.fspath(tmp_path), log=tmp_path / "log")
    assert isinstance(process, ForkedProcess)
    return process


def test_it_has_its_arguments_variables_and_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RELAY_BROKER_PREFIX=of-the-folder:\n")
    process = started(tmp_path, "config", "--max-message-bytes", "12345", RELAY_SEND_BUFFER_BYTES="65432")
    assert process.wait() == 0
    shown = (tmp_path / "log").read_text()
    assert {"of-the-folder:", "12345", "65432"} <= set(shown.split())


def test_its_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    process = started(tmp_path, "no-such-command")
    assert process.wait() == process.poll() == 2
    assert "No such command" in (tmp_path / "log").read_text()
    process.kill()  # nothing happens


def test_it_can_be_killed(tmp_path: Path) -> None:
    process = started(tmp_path, "serve", RELAY_PORT="0")
    assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_it_has_the_given_file_descriptors_alone(tmp_path: Path) -> None:
    """A standard stream that isn't among them is closed, and none of this process's others is open."""
    (tmp_path / "shown.py").write_text(
        "import os, sys\n"
        "print(sys.stdin, sys.stderr, sys.stdout.isatty(), *sorted(map(int, os.listdir('/proc/self/fd'))))\n"
    )
    with (tmp_path / "log").open("wb") as output:
        given = {1: output.fileno(), 30: output.fileno()}
        environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
        process = ForkedProcess(environment=environment, folder=os.fspath(tmp_path), descriptors=given, module="shown")
    assert process.wait() == 0
    assert (tmp_path / "log").read_text() == "None None False 0 1 30\n"  # 0 is the folder that is listed


def test_another_environment_is_loaded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What libraries read as they are loaded must not be that of an earlier test."""
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2]), "SSL_CERT_FILE": "/nowhere"}
    process = start("--help", environment=environment, folder=os.fspath(tmp_path), log=tmp_path / "log")
    assert not isinstance(process, ForkedProcess)
    assert process.wait() == 0

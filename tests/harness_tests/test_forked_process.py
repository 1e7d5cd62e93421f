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


def test_another_environment_is_loaded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What libraries read as they are loaded must not be that of an earlier test."""
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2]), "SSL_CERT_FILE": "/nowhere"}
    process = start("--help", environment=environment, folder=os.fspath(tmp_path), log=tmp_path / "log")
    assert not isinstance(process, ForkedProcess)
    assert process.wait() == 0

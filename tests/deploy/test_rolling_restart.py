"""deploy/rolling-restart with a `docker` that fails; tests/compose runs it with a real one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "rolling-restart"


def restart(folder: Path, docker: str) -> subprocess.CompletedProcess[str]:
    """Run it with a script in the place of `docker`, from another folder.

    Args:
        folder: an empty one.
        docker: body of the script; `$*` are the arguments.
    """
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\necho "$*" >>{folder}/calls\n{docker}\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    # In a group of its own: a signal reaches all processes of a group, as Ctrl-C does. Not SIGINT: where the tests run
    # in the background, a script can't take it.
    return subprocess.run(
        [SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, timeout=30, start_new_session=True
    )


def test_an_engine_that_does_not_answer_is_told(tmp_path: Path) -> None:
    done = restart(tmp_path, "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    assert done.returncode == 1
    assert "Cannot connect to the Docker daemon" in done.stderr


def test_without_a_stack_there_is_nothing_to_restart(tmp_path: Path) -> None:
    done = restart(tmp_path, "exit 0")
    assert done.returncode == 1
    assert "no gateway runs here; start some: docker compose up" in done.stderr


STACK = """
case "$*" in
"compose ps --quiet gateway") echo old ;;
"compose ps --all --quiet gateway") echo old; echo fresh ;;
"inspect --format {{slice .Name 1}} "*) echo "stack-$4" ;;
"inspect --format {{.State.Status}} {{.State.Health.Status}} fresh") %s ;;
"compose --progress quiet up "*) %s ;;
"stop old") exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("health", "up", "removed"),
    [
        pytest.param("", "echo 'no such image' >&2; exit 1", True, id="it can't be started"),
        pytest.param("kill -TERM 0; sleep 5", "", True, id="interrupted while it waits"),
        pytest.param("echo running healthy", "", False, id="the old one can't be stopped"),
    ],
)
def test_whatever_ends_it_the_state_is_told_and_nothing_is_left_half_done(
    tmp_path: Path, health: str, up: str, removed: bool
) -> None:
    """A gateway that is not yet in the place of another is removed, with a goodbye to the clients that it may have."""
    done = restart(tmp_path, STACK % (health, up))
    assert done.returncode == (130 if "kill" in health else 1)
    assert "0 of 1 gateways replaced; these are running:" in done.stdout
    calls = (tmp_path / "calls").read_text().splitlines()
    ends = [call for call in calls if call in ("stop fresh", "rm --force fresh")]
    assert ends == (["stop fresh", "rm --force fresh"] if removed else [])
    assert "rm --force old" not in calls

"""What is held ends with its holder, unless it is let go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from relay.loadtest.target.reaper import Lifeline
from tests.harness.busy_process import BusyProcess
from tests.harness.conditions import wait_until_blocking

_PROGRAM = """
import pathlib, sys
from relay.loadtest.target.reaper import Lifeline
lifeline = Lifeline(pathlib.Path(sys.argv[2]))
lifeline.hold(999999999)
lifeline.hold(int(sys.argv[1]))
"""


def test_a_held_process_and_its_folder_end_with_their_holder(tmp_path: Path) -> None:
    """Though the holder says nothing, and another one was gone already."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "log").write_text("...")
    with BusyProcess() as server:
        subprocess.run([sys.executable, "-c", _PROGRAM, str(server.pid), str(folder)], check=True)
        wait_until_blocking(lambda: not server.running and not folder.exists())


def test_a_released_process_stays(tmp_path: Path) -> None:
    """Its number may be another process' by then."""
    with BusyProcess() as server:
        lifeline = Lifeline(tmp_path)
        lifeline.hold(server.pid)
        lifeline.release()
        server.burn(0.001)
        assert server.running
        assert tmp_path.exists()


def test_a_lifeline_that_was_cut_is_no_error(tmp_path: Path) -> None:
    """The run doesn't depend on it."""
    lifeline = Lifeline(tmp_path)
    lifeline._process.kill()
    lifeline._process.wait()
    lifeline.hold(999_999_999)
    lifeline.release()

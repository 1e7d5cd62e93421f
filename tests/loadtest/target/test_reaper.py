"""A watched process ends with the load test, unless the reaper is released."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from relay.loadtest.target.reaper import Reaper
from tests.harness.busy_process import BusyProcess
from tests.harness.conditions import wait_until_blocking

_PROGRAM = """
import pathlib, sys
from relay.loadtest.target.reaper import Reaper
reaper = Reaper(pathlib.Path(sys.argv[2]))
reaper.watch(999999999)
reaper.watch(int(sys.argv[1]))
"""


def test_a_watched_process_and_its_folder_end_with_the_load_test(tmp_path: Path) -> None:
    """Although the load test says nothing, and another process was gone already."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "log").write_text("...")
    with BusyProcess() as server:
        subprocess.run([sys.executable, "-c", _PROGRAM, str(server.pid), str(folder)], check=True)
        wait_until_blocking(lambda: not server.running and not folder.exists())


def test_a_released_process_stays(tmp_path: Path) -> None:
    """Its number may be another process' by then."""
    with BusyProcess() as server:
        reaper = Reaper(tmp_path)
        reaper.watch(server.pid)
        reaper.release()
        server.burn(0.001)
        assert server.running
        assert tmp_path.exists()


def test_a_reaper_that_was_killed_is_no_error(tmp_path: Path) -> None:
    """The run doesn't depend on it."""
    reaper = Reaper(tmp_path)
    reaper._process.kill()
    reaper._process.wait()
    reaper.watch(999_999_999)
    reaper.release()

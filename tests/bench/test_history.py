"""The measures of histories, as they are typed, and briefly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.returning import ID

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")


def test_plain_channels_and_channels_with_a_history_take_turns(tmp_path: Path) -> None:
    """Which figure is above its limit depends on the machine; what was lost doesn't."""
    file = tmp_path / "history.json"
    options = ["--only", "one", "--pairs", "1", "--seconds", "0.2", "--patience", "0", "--json", str(file)]
    command = [sys.executable, "-m", "bench.history", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode in (0, 1), done.stderr
    assert "pair 1 of 1: 1 channel" in done.stderr
    figures = json.loads(file.read_text())["figures"]
    units = [figure["figure"]["unit"] for figure in figures]
    assert units == ["µs of the gateway per message", "µs of Redis per message"]
    for figure in figures:
        for reading in (*figure["before"], *figure["after"]):
            assert reading["value"] > 0
            assert reading["tally"]["lost"] == reading["tally"]["duplicated"] == 0


def test_clients_that_come_back_lack_nothing() -> None:
    options = ["--clients", "40", "--channels", "2", "--missed", "3", "--patience", "0"]
    command = [sys.executable, "-m", "bench.returning", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 clients of 2 channels" in done.stdout
    assert "lost, doubled or out of order: 0" in done.stdout


def test_only_events_with_data_count() -> None:
    assert ID.findall(b"retry: 1\n\nid: e:1\n\nid: e:2\ndata: x\n\nid: e:3\ndata: y\n\n") == [b"2", b"3"]

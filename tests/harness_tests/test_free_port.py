"""Ports for the servers of tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.harness.free_port import BLOCK, FIRST, free_port

ROOT = Path(__file__).parents[2]


def test_no_two_processes_are_given_the_same_port() -> None:
    """A server may listen long after its port was chosen: another run had taken it meanwhile."""
    program = "from tests.harness.free_port import free_port; print(free_port(), flush=True); input()"
    mine = (free_port() - FIRST) // BLOCK
    command = [sys.executable, "-c", program]
    with (
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        blocks = [mine]
        for process in (one, other):
            assert process.stdout is not None
            blocks.append((int(process.stdout.readline()) - FIRST) // BLOCK)
        for process in (one, other):
            process.communicate(b"\n")
    assert len(set(blocks)) == 3
    assert len({free_port() for _ in range(20)}) == 20

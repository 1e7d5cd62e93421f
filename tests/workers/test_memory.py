"""The memory that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relay.workers.memory import usable_memory

INSTALLED = 8 * 2**30


@pytest.fixture(autouse=True)
def _eight_gibibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": INSTALLED // 4096, "SC_PAGE_SIZE": 4096}[name])


def test_without_control_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert usable_memory(tmp_path, tmp_path / "none") == INSTALLED


@pytest.mark.parametrize(
    ("limit", "usable"), [("max", INSTALLED), ("536870912", 2**29), ("9223372036854771712", INSTALLED)]
)
@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_the_limit_of_a_container_counts(file: str, limit: str, usable: int, tmp_path: Path) -> None:
    """Of version 1 and version 2."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(f"{limit}\n")
    assert usable_memory(tmp_path, tmp_path / "none") == usable


def test_the_limit_of_the_own_group_counts(tmp_path: Path) -> None:
    """As that of a unit of systemd."""
    group = tmp_path / "system.slice" / "relay.service"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("1073741824\n")
    (tmp_path / "own").write_text("0::/system.slice/relay.service\n")
    assert usable_memory(tmp_path, tmp_path / "own") == 2**30

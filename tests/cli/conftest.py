"""Fixtures of the command's tests: an environment without settings, and a server that stands in for a gateway."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.harness.stand_in import stand_in as stand_in


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start without settings and colours, in an empty working folder, with help of a fixed width."""
    for name in [name for name in os.environ if name.upper().startswith("RELAY_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Keep a gateway inside the test's process from writing into the output of the command."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()

"""Metrics as Prometheus reads them, and its own programs, which judge metrics, alerts and configuration."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families


def program(name: str) -> str:
    """Return the path of `promtool` or `prometheus`; skip the test where it can't be had.

    `make promtool` puts both into the environment.
    """
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"there is no {name} here: make promtool")
    return found


def promtool(*arguments: str, given: bytes = b"") -> str:
    """Run `promtool` and return what it wrote; fails with that text when it complains."""
    outcome = subprocess.run(
        [program("promtool"), *arguments], input=given, capture_output=True, timeout=60, check=False
    )
    text = (outcome.stdout + outcome.stderr).decode()
    assert outcome.returncode == 0, text
    return text


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the samples of a page by name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

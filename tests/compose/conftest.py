"""Fixtures of the compose suite: one stack for all of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.compose.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack, up; each test asks for the gateways that it needs with `fresh`."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker engine answers here")
    with Stack(f"relay-test-{os.getpid()}") as running:
        yield running

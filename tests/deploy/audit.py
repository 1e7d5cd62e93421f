"""Look for known vulnerabilities in what the lock files name: python -m tests.deploy.audit.

`pip-audit` does it. What `make lint` needs beyond that stands here: an end in bounded time, a sentence instead of a
failure where no advisory source can be reached, and none of the success that `pip-audit` reports when a source answers
and knows no package at all, as mirrors of the index do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import click

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
LOCKS = (DEPLOY / "requirements.lock", DEPLOY / "build-requirements.lock")

PIP_AUDIT = (sys.executable, "-m", "pip_audit")

SOURCES = ("pypi", "osv")
"""Asked in this order until one answers; they have the same advisories."""

ACCEPTED: dict[str, str] = {}
"""Advisories that are no failure: a name of each (PYSEC, GHSA or CVE) → why it doesn't concern the relay."""

REQUEST_SECONDS = 5
"""How long a source may be silent."""

SOURCE_SECONDS = 45.0
"""How long a source has for all packages, each of which is a request: some 5 s are usual."""

READ_SECONDS = 30.0
"""How long reading the lock files may take, which needs no network and half a second."""

REASON_CHARACTERS = 160
"""How much is shown of the last line of a traceback."""


class AuditFailed(Exception):
    """`pip-audit` has no answer.

    Attributes:
        why: its last line, or that it took too long.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def audit(
    pip_audit: Sequence[str] = PIP_AUDIT,
    *,
    accepted: Mapping[str, str] = ACCEPTED,
    seconds: float = SOURCE_SECONDS,
) -> tuple[bool, list[str]]:
    """Audit the lock files.

    Args:
        pip_audit: command that runs it.
        accepted: as `ACCEPTED`.
        seconds: as `SOURCE_SECONDS`.

    Returns:
        Whether nothing speaks against the dependencies, and sentences for the terminal.
    """
    unreached = []
    for source in SOURCES:
        options = ("--vulnerability-service", source, "--timeout", str(REQUEST_SECONDS))
        try:
            packages = _run(pip_audit, *options, within=seconds)
        except AuditFailed as error:
            unreached.append(f"{source}: {error.why}")
            continue
        if any("skip_reason" not in package for package in packages):
            return _judge(source, packages, accepted)
        unreached.append(f"{source}: knows none of the {len(packages)} packages")
    try:
        _run(pip_audit, "--dry-run", within=READ_SECONDS)
    except AuditFailed as error:
        return False, [f"pip-audit can't read the lock files: {error.why}"]
    return True, ["audit of dependencies: SKIPPED, as no advisory source answers here", *unreached]


def _judge(source: str, packages: list[dict[str, Any]], accepted: Mapping[str, str]) -> tuple[bool, list[str]]:
    lines = []
    passed = True
    for package in packages:
        if "skip_reason" in package:
            lines.append(f"not audited: {package['skip_reason']}")
            continue
        for found in package["vulns"]:
            names = [found["id"], *found["aliases"]]
            reason = next((accepted[name] for name in names if name in accepted), None)
            if reason is None:
                passed = False
                verdict = f"mended in {', '.join(found['fix_versions']) or 'no version yet'}"
            else:
                verdict = f"accepted: {reason}"
            lines.append(f"{package['name']} {package['version']}: {' '.join(names)}, {verdict}")
    count = sum("skip_reason" not in package for package in packages)
    return passed, [*lines, f"audit of dependencies: {count} packages looked up at {source}"]


def _run(pip_audit: Sequence[str], *options: str, within: float) -> list[dict[str, Any]]:
    """Return what `pip-audit` says of each package.

    Raises:
        AuditFailed: it didn't end in time, or ended without a report.
    """
    files = [word for lock in LOCKS for word in ("--requirement", str(lock))]
    # The files name all packages, so pip need not be asked which ones they bring. Variables would be further options.
    command = [*pip_audit, *options, "--disable-pip", "--format", "json", "--progress-spinner", "off", *files]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_AUDIT_")}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within
        )
    except subprocess.TimeoutExpired:
        raise AuditFailed(f"no answer within {within:g} s") from None
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        (*_, last) = [f"exit code {done.returncode}", *done.stderr.strip().splitlines()]
        raise AuditFailed(shorten(last, REASON_CHARACTERS)) from None
    return packages


if __name__ == "__main__":
    passed, sentences = audit()
    for sentence in sentences:
        click.echo(sentence)
    sys.exit(not passed)

"""`make lint` looks for known vulnerabilities of what is locked: what it makes of each answer of pip-audit."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.audit import LOCKS, PIP_AUDIT, audit
from tests.harness.free_port import free_port

HARMLESS = {"name": "yarl", "version": "1.25.1", "vulns": []}
UNKNOWN = {"name": "click", "skip_reason": "Dependency not found"}
ADVISORY = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1", "GHSA-1"], "fix_versions": ["9.9"], "description": "Bad."}
VULNERABLE = {"name": "aiohttp", "version": "3.14.5", "vulns": [ADVISORY]}


class Fake:
    """A program in the place of pip-audit.

    Args:
        folder: for its files.
        answers: what it does by the last word of its kind, `pypi`, `osv` or `dry-run`: the packages it reports, or
            statements in Python.
    """

    def __init__(self, folder: Path, **answers: list[Any] | str) -> None:
        self._calls = folder / "calls"
        script = folder / "fake.py"
        script.write_text(f"""
import json, os, sys, time
kind = "dry-run" if "--dry-run" in sys.argv else sys.argv[sys.argv.index("--vulnerability-service") + 1]
with open({str(self._calls)!r}, "a") as calls:
    print(json.dumps([kind, sys.argv, sorted(os.environ)]), file=calls)
answer = {answers!r}.get(kind.replace("-", "_"), [])
if isinstance(answer, str):
    exec(answer)
print(json.dumps({{"dependencies": answer, "fixes": []}}))
""")
        self.command = [sys.executable, str(script)]

    def calls(self) -> list[tuple[str, list[str], list[str]]]:
        """Return each call: what was asked, the command line, and the names of the environment's variables."""
        return [tuple(json.loads(line)) for line in self._calls.read_text().splitlines()]


def test_nothing_found_passes(tmp_path: Path) -> None:
    fake = Fake(tmp_path, pypi=[HARMLESS])
    assert audit(fake.command) == (True, ["audit of dependencies: 1 packages looked up at pypi"])
    ((_, command, _),) = fake.calls()
    assert [word for word in command if word.endswith(".lock")] == [str(lock) for lock in LOCKS]


def test_a_vulnerability_fails_and_is_named_with_the_version_that_mends_it(tmp_path: Path) -> None:
    passed, lines = audit(Fake(tmp_path, pypi=[HARMLESS, VULNERABLE]).command)
    assert not passed
    assert lines[0] == "aiohttp 3.14.5: PYSEC-2026-1 CVE-2026-1 GHSA-1, mended in 9.9"


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1"])
def test_an_accepted_vulnerability_passes_and_is_shown_with_its_reason(tmp_path: Path, name: str) -> None:
    passed, lines = audit(Fake(tmp_path, pypi=[VULNERABLE]).command, accepted={name: "the client isn't used"})
    assert passed
    assert lines[0].endswith("accepted: the client isn't used")


def test_what_is_accepted_hides_nothing_else(tmp_path: Path) -> None:
    other = {**ADVISORY, "id": "PYSEC-2026-2", "aliases": []}
    fake = Fake(tmp_path, pypi=[{**VULNERABLE, "vulns": [ADVISORY, other]}])
    assert not audit(fake.command, accepted={"PYSEC-2026-1": "the client isn't used"})[0]


def test_without_a_source_it_is_skipped_with_a_sentence(tmp_path: Path) -> None:
    fake = Fake(tmp_path, pypi="sys.exit('Traceback\\nno route to host')", osv="sys.exit(1)")
    assert audit(fake.command) == (
        True,
        [
            "audit of dependencies: SKIPPED, as no advisory source answers here",
            "pypi: no route to host",
            "osv: exit code 1",
        ],
    )


def test_a_source_that_knows_no_package_is_none(tmp_path: Path) -> None:
    """As a mirror of the index: pip-audit takes its answers for "no known vulnerabilities"."""
    passed, lines = audit(Fake(tmp_path, pypi=[UNKNOWN, UNKNOWN], osv=[VULNERABLE]).command)
    assert not passed
    assert lines[-1] == "audit of dependencies: 1 packages looked up at osv"
    passed, lines = audit(Fake(tmp_path, pypi=[UNKNOWN], osv=[UNKNOWN]).command)
    assert passed
    assert "SKIPPED" in lines[0]


def test_a_package_that_a_source_does_not_know_is_named(tmp_path: Path) -> None:
    passed, lines = audit(Fake(tmp_path, pypi=[HARMLESS, UNKNOWN]).command)
    assert passed
    assert lines[0] == "not audited: Dependency not found"


def test_a_source_that_hangs_is_given_up(tmp_path: Path) -> None:
    fake = Fake(tmp_path, pypi="time.sleep(3600)", osv="time.sleep(3600)")
    passed, lines = audit(fake.command, seconds=0.5)
    assert passed
    assert lines[1:] == ["pypi: no answer within 0.5 s", "osv: no answer within 0.5 s"]


def test_lock_files_that_cannot_be_read_are_no_missing_source(tmp_path: Path) -> None:
    """Nor is a pip-audit that doesn't start: else both would be skipped for ever."""
    stop = "sys.exit('requirement yarl has no hash')"
    passed, lines = audit(Fake(tmp_path, pypi=stop, osv=stop, dry_run=stop).command)
    assert not passed
    assert lines == ["pip-audit can't read the lock files: requirement yarl has no hash"]
    assert not audit([sys.executable, "-m", "no_such_module"])[0]


def test_variables_of_pip_audit_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_AUDIT_FORMAT", "columns")
    fake = Fake(tmp_path, pypi=[HARMLESS])
    assert audit(fake.command)[0]
    assert "PIP_AUDIT_FORMAT" not in fake.calls()[0][2]


class Advisories(BaseHTTPRequestHandler):
    """Answers as OSV does: one advisory for aiohttp, whatever its version, and none for others."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}]
        affected = [{"package": asked["package"], "ranges": ranges}]
        advisory = {"id": "GHSA-2", "summary": "Bad.", "affected": affected, "aliases": ["CVE-2026-2"]}
        body = json.dumps({"vulns": [advisory]} if asked["package"]["name"] == "aiohttp" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep silent."""


@contextmanager
def advisories() -> Iterator[int]:
    """Serve advisories; yields the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep pip-audit from everything but this machine, and from what it has stored."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path))


@pytest.mark.usefixtures("_no_network")
def test_pip_audit_itself_finds_what_a_source_knows() -> None:
    with advisories() as port:
        passed, lines = audit([*PIP_AUDIT, "--osv-url", f"http://127.0.0.1:{port}/v1/query"])
    assert not passed
    assert len(lines) == 2
    assert lines[0].startswith("aiohttp ")
    assert "GHSA-2" in lines[0]
    assert lines[0].endswith(", mended in 99.0")


@pytest.mark.usefixtures("_no_network")
def test_pip_audit_itself_without_a_source_is_skipped() -> None:
    passed, lines = audit([*PIP_AUDIT, "--osv-url", f"http://127.0.0.1:{free_port()}/v1/query"])
    assert passed
    assert "SKIPPED" in lines[0]

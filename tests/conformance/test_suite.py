"""Running Autobahn's client; here a script stands in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from tests.conformance import suite
from tests.conformance.report import Result
from tests.conformance.suite import run_suite
from tests.harness.gateway_process import GatewayProcess

REPORT = json.dumps({"relay": {"1.1.1": {"behavior": "OK", "behaviorClose": "OK", "remoteCloseCode": 1000}}})


class Gateway:
    """Stands for a gateway that nobody calls."""

    url = "ws://127.0.0.1:9"


def run(folder: Path, script: str) -> dict[str, Result]:
    """Run a shell script in place of the client; it is called with the path of the client and that of the spec."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return run_suite(python, cast(GatewayProcess, Gateway()), folder / "reports")


def test_the_report_is_read_and_each_case_has_its_channel(tmp_path: Path) -> None:
    found = run(tmp_path, f"""test -f "$1" && echo '{REPORT}' >"$(dirname "$2")/index.json" """)
    assert found == {"1.1.1": Result("OK", "OK", 1000)}
    spec = json.loads((tmp_path / "reports/spec.json").read_text())
    assert [server["url"] for server in spec["servers"]] == ["ws://127.0.0.1:9/ws/autobahn-%s?echo=1"]


def test_a_client_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 3: no module"):
        run(tmp_path, """echo '{}' >"$(dirname "$2")/index.json"; echo no module >&2; exit 3""")


def test_the_report_of_an_earlier_run_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/index.json").write_text(REPORT)
    with pytest.raises(RuntimeError, match="ended with 0"):
        run(tmp_path, "exit 0")


def test_a_client_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "LONGEST_SECONDS", 0.2)
    with pytest.raises(RuntimeError, match=r"did not end within 0\.2 seconds"):
        run(tmp_path, "exec sleep 600")

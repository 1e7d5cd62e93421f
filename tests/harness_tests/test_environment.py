"""A test run has the same surroundings however it is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_SCRIPT = """
import json, os, signal, subprocess, sys
from tests.harness.environment import neutralize

neutralize()
os.kill(os.getpid(), signal.SIGHUP)  # what was ignored ends nothing now
show = (
    "import json, os, signal as s; "
    "print(json.dumps([dict(os.environ), [s.getsignal(n) is s.SIG_IGN for n in (1, 2)]]))"
)
subprocess.run([sys.executable, "-I", "-c", show], check=True)
sys.exit(open(os.devnull).encoding.upper() != "UTF-8")
"""


def test_nothing_of_the_shell_reaches_what_the_tests_start() -> None:
    odd = {
        "RELAY_PORT": "80",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "NO_COLOR": "1",
        "COLUMNS": "7",
        "LINES": "2",
        "TERM": "vt52",
        "LANG": "tlh",
        "LC_ALL": "C",
        "http_proxy": "http://127.0.0.1:1",
        "CI": "true",
    }
    kept = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "COVERAGE_FILE": "here"}
    # As nohup does it, and a shell for its background jobs.
    ignoring = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", sys.executable, "-P", "-c", _SCRIPT]
    shown = subprocess.run(ignoring, env={**odd, **kept, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    environment, ignored = json.loads(shown.stdout)
    assert environment == {**kept, "LC_ALL": "C.UTF-8"}
    assert ignored == [False, False]

"""Autobahn's suite against a gateway."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

from tests.conformance.report import Result, read_report
from tests.harness.gateway_process import GatewayProcess

SERVER: Final = "relay"
CLIENT: Final = Path(__file__).with_name("fuzzing_client.py")

LONGEST_SECONDS: Final = 900
"""A run takes 20 seconds."""

OPTIONS: Final = {"openHandshakeTimeout": 60, "closeHandshakeTimeout": 30, "serverConnectionDropTimeout": 30}
"""How long Autobahn waits for what is no matter of time here, in seconds; its own second is a bet on a busy machine."""

SETTINGS: Final = {
    "max_message_bytes": 2**24,  # of the largest message
    "send_buffer_bytes": 2**25,
    "publish_buffer_bytes": 2**26,
}
"""Of the gateway. With all others as they are it would close the cases of group 9 with 1009, as it should."""


def run_suite(python: Path, gateway: GatewayProcess, folder: Path) -> dict[str, Result]:
    """Run all cases against a gateway.

    Each has a channel of its own, whose messages come back to it over the bus.

    Args:
        python: Python 2.7 with `autobahntestsuite`.
        gateway: that listens, with `SETTINGS`.
        folder: where Autobahn leaves its reports; `index.html` is for people.

    Raises:
        RuntimeError: the suite didn't come to its end; it says what Autobahn said.
        ValueError: there is no report that can be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = f"{gateway.url}/ws/autobahn-%s?echo=1"
    spec = {"outdir": str(folder), "options": OPTIONS, "servers": [{"agent": SERVER, "url": url}], "cases": ["*"]}
    (folder / "spec.json").write_text(json.dumps(spec))
    index = folder / "index.json"
    index.unlink(missing_ok=True)
    try:
        client = subprocess.run(
            [python, CLIENT, folder / "spec.json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"Autobahn did not end within {LONGEST_SECONDS} seconds") from None
    if client.returncode or not index.exists():
        said = client.stdout.decode(errors="replace")[-2000:]
        raise RuntimeError(f"Autobahn ended with {client.returncode}: {said}")
    return read_report(index.read_bytes(), SERVER)

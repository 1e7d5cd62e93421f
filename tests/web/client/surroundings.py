"""What happens around a client: a back end publishes, and gateways go."""

from __future__ import annotations

import signal
import urllib.request

from tests.harness.conditions import wait_until_blocking
from tests.harness.gateway_process import GatewayProcess


def publish(gateway: GatewayProcess, channel: str, *texts: str) -> None:
    """Publish texts, as a back end does."""
    for text in texts:
        request = urllib.request.Request(
            f"http://127.0.0.1:{gateway.port}/publish/{channel}", text.encode(), {"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310  # of this machine
            assert answer.status == 200


def kill(gateway: GatewayProcess) -> None:
    """End a gateway as a crash does."""
    gateway.signal(signal.SIGKILL)
    wait_until_blocking(lambda: not gateway.running, what="the gateway ends")

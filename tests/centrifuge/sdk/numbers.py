"""A back end that publishes numbers, one after the other, whatever happens to the servers."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from tests.centrifuge.oracle.setups import API_KEY

PAUSE_SECONDS = 0.02
TIMEOUT_SECONDS = 5.0


class Numbers:
    """Publishes 1, 2, 3 ... by the server API; what failed is tried again with the same key. A context manager.

    Args:
        channel: for all of them.
        ports: returns those of the servers that run.

    Attributes:
        published: the last number that a server has taken.
    """

    def __init__(self, channel: str, ports: Callable[[], Sequence[int]]) -> None:
        self._channel = channel
        self._ports = ports
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self.published = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Publish no more, and return the last number."""
        self._stopping.set()
        self._thread.join()
        return self.published

    def _publish(self) -> None:
        attempt = 0
        while not self._stopping.wait(PAUSE_SECONDS):
            ports = self._ports()
            if self._took(ports[attempt % len(ports)], self.published + 1):
                self.published += 1
            else:
                attempt += 1  # another server may do better

    def _took(self, port: int, number: int) -> bool:
        body = {"channel": self._channel, "data": {"number": number}, "idempotency_key": f"{self._channel}-{number}"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/publish",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-API-Key": API_KEY},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except (OSError, ValueError):
            return False
        return "result" in answer

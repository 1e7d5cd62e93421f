"""The relay beside an example of docs/guide.md."""

from __future__ import annotations

import json
import urllib.request
from types import TracebackType
from typing import Self

from tests.docs.site import Site
from tests.harness.gateway_process import GatewayProcess, end


class RelayOfSite:
    """The relay of a site, which may be stopped and started again. A context manager.

    Args:
        site: where it listens.
        variables: its settings, among others.
    """

    def __init__(self, site: Site, variables: dict[str, str]) -> None:
        self._site = site
        self._variables = variables
        self._gateways: list[GatewayProcess] = []

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self._gateways.append(self._site.relay(self._variables))

    def stop(self) -> None:
        """Stop it as an operator does."""
        end(self._gateways)
        self._gateways.clear()

    def ask(self, method: str, question: object) -> None:
        """Call its server API."""
        address = self._site.here(f"http://localhost:8000/api/{method}")
        key = {"X-API-Key": self._variables["RELAY_API_KEYS"]}
        request = urllib.request.Request(address, json.dumps(question).encode(), key)  # noqa: S310  # of this machine
        with urllib.request.urlopen(request) as answer:  # noqa: S310  # the same
            assert json.load(answer) == {"result": {}}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

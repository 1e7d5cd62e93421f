"""A server of the protocol, wherever it runs."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.centrifuge.oracle.setups import API_KEY

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """Where it is.

    Args:
        port: of 127.0.0.1.
    """

    port: int

    @property
    def url(self) -> str:
        """Address for WebSockets of clients."""
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Call its server API, and return the answer; without a body of JSON the status."""
        return await asyncio.to_thread(self._call, method, params)

    def _call(self, method: str, params: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{method}",
            data=json.dumps(params).encode(),
            headers={"Content-Type": "application/json", "X-API-Key": API_KEY},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return {"status": error.code}

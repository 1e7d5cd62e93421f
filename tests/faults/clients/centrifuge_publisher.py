"""A client of the Centrifuge protocol that publishes, on the connection by which it listens."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Final

from tests.faults.clients.centrifuge_client import CentrifugeClient
from tests.faults.clients.publisher import Fate, Publisher
from tests.faults.clients.subscriber import PAUSE_SECONDS
from tests.faults.payload import Payload
from tests.faults.recorder import Recorder

REPLY_SECONDS: Final = 8.0
"""For which it waits for a reply; then the fate of the message is unknown."""

INTERNAL_ERROR: Final = 100
"""Says that a message was not published, or that nobody knows; each other error that it was not."""


class CentrifugePublisher(Publisher):
    """Publishes by commands; args as for `Publisher`, and:

    Args:
        client: whose connection it uses.
    """

    binary = False  # JSON is text

    def __init__(
        self,
        name: str,
        channel: str,
        interval: float,
        size: int,
        recorder: Recorder,
        random: Random,
        client: CentrifugeClient,
    ) -> None:
        super().__init__(name, channel, interval, size, recorder, random)
        self._client = client

    async def publish(self, size: int) -> str | None:
        """Publish a message once there is a connection."""
        while not self._client.introduced:
            if self._stopping.is_set():
                return None
            await self._pause(self._random.uniform(*PAUSE_SECONDS))
        return await super().publish(size)

    async def _send(self, label: str, payload: Payload) -> str | Fate | None:
        connection = self._client.connection
        assert connection is not None
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                reply = await connection.publish(self.channel, json.loads(payload))
        except TimeoutError:
            return Fate.UNKNOWN
        if reply is None:
            return Fate.UNKNOWN
        if "error" in reply:
            return Fate.UNKNOWN if reply["error"]["code"] == INTERNAL_ERROR else Fate.REFUSED
        return None

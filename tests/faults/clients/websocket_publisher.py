"""A WebSocket that publishes, and hears its own messages: that one has come back says that it was published."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.faults.clients.publisher import Fate, Publisher
from tests.faults.clients.subscriber import ANSWER_SECONDS, FAILURES, PAUSE_SECONDS
from tests.faults.payload import Payload, label_of
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place

ECHO_SECONDS: Final = 8.0
"""For which it waits for a message to come back; then its fate is unknown, and the connection is left."""

NOT_PUBLISHED: Final = ("bus unavailable", "publish buffer full", "refused by the bus")
"""Reasons for which the relay closes a publisher whose message it has not published."""


class WebSocketPublisher(Publisher):
    """Publishes with a WebSocket; args as for `Publisher`, and:

    Args:
        places: of the gateways.
    """

    def __init__(
        self,
        name: str,
        channel: str,
        interval: float,
        size: int,
        recorder: Recorder,
        random: Random,
        places: Sequence[Place],
    ) -> None:
        super().__init__(name, channel, interval, size, recorder, random)
        self._places = places
        self._connection: ClientConnection | None = None

    async def close(self) -> None:
        """See `Publisher.close`."""
        if self._connection is not None:
            self._connection.transport.abort()
            await self._connection.wait_closed()
            self._connection = None

    async def publish(self, size: int) -> str | None:
        """Publish a message once there is a connection."""
        while self._connection is None and not self._stopping.is_set():
            place = self._random.choice(self._places)
            try:
                self._connection = await connect(
                    place.address(f"/ws/{self.channel}?echo=1"),
                    compression=None,
                    proxy=None,
                    ping_interval=None,
                    open_timeout=ANSWER_SECONDS,
                    close_timeout=0.5,
                    max_size=None,
                )
            except FAILURES:
                await self._pause(self._random.uniform(*PAUSE_SECONDS))
        return None if self._connection is None else await super().publish(size)

    async def _send(self, label: str, payload: Payload) -> str | Fate | None:
        connection = self._connection
        assert connection is not None
        try:
            async with asyncio.timeout(ECHO_SECONDS):
                await connection.send(payload)
                while label_of(await connection.recv()) != label:
                    pass
        except TimeoutError:
            await self.close()
        except ConnectionClosed as closed:
            with suppress(*FAILURES):
                await self.close()
            if closed.rcvd is not None and closed.rcvd.reason in NOT_PUBLISHED:
                return Fate.REFUSED
        else:
            return None
        return Fate.UNKNOWN

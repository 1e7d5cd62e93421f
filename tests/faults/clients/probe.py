"""Asks each gateway again and again whether it is ready, and finds out beside it whether messages get through."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.faults.clients.subscriber import FAILURES
from tests.faults.load import PROBE
from tests.faults.operations import Readiness
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place
from tests.harness.http_response import get

INTERVAL_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 2.0
LAG_SECONDS: Final = 0.5


class ReadinessProbe:
    """Watches one gateway, with no network between.

    Args:
        place: of the gateway.
        recorder: where answers are noted.
    """

    def __init__(self, place: Place, recorder: Recorder) -> None:
        self._place = place
        self._recorder = recorder
        self._connection: ClientConnection | None = None
        self._number = 0

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                asked_at = self._recorder.now()
                ready, passing = await asyncio.gather(self._is_ready(), self._passes())
                if self._recorder.now() - asked_at > ANSWER_SECONDS + LAG_SECONDS:
                    passing = None  # this process had no time to look
                self._recorder.note(
                    Readiness(at=self._recorder.now(), gateway=self._place.number, ready=ready, passing=passing)
                )
                await asyncio.sleep(INTERVAL_SECONDS)
        finally:
            if self._connection is not None:
                self._connection.transport.abort()
                await self._connection.wait_closed()

    async def _is_ready(self) -> bool:
        with suppress(*FAILURES):
            return (await get(self._place.port, "/readyz", ANSWER_SECONDS)).status == 200
        return False

    async def _passes(self) -> bool | None:
        """Publish a message by the gateway, and return whether it comes back; None: it has just been closed."""
        self._number += 1
        label = f"probe{self._number}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._connection is None:
                    url = f"{self._place.process.url}/ws/{PROBE}{self._place.number}?echo=1"
                    self._connection = await connect(url, compression=None, proxy=None, ping_interval=None)
                await self._connection.send(label)
                while await self._connection.recv() != label:
                    pass
        except TimeoutError:
            return False
        except ConnectionClosed:
            self._connection = None
            return None  # for a gap, say: the next one tells
        except FAILURES:
            return False
        return True

"""A back end that publishes numbered messages, one request after the other, and notes what it is told of each."""

from __future__ import annotations

import asyncio
import time

from tests.faults.record import Fate, Sent
from tests.faults.slot import Slot
from tests.harness.history import Label, labelled
from tests.harness.http_response import send_request

ANSWER_SECONDS = 30.0


class HttpPublisher:
    """Publishes by `POST /publish` until it is stopped.

    After a message that failed its labels begin anew, as those of a WebSocket do with a new connection.

    Args:
        name: first part of its labels.
        slot: of the gateway.
        channel: where it publishes.
        sent: where it notes its messages.
        interval: seconds between two messages.

    Attributes:
        last: label of the last one.
    """

    def __init__(self, name: str, slot: Slot, channel: str, sent: dict[Label, Sent], interval: float) -> None:
        self._name = name
        self._slot = slot
        self._channel = channel
        self._sent = sent
        self._interval = interval
        self._stopping = False
        self.last: Label | None = None

    def stop(self) -> None:
        """Publish no more; `run` returns when the last message is answered."""
        self._stopping = True

    async def run(self) -> None:
        """Publish until stopped."""
        session = number = 0
        while not self._stopping:
            label = self.last = Label(f"{self._name}.{session}", number)
            payload = labelled(label.publisher, label.number)
            self._sent[label] = sent = Sent(self._channel, time.monotonic(), payload, Fate.UNKNOWN)
            sent.fate = await self._publish(payload)
            number += 1
            if sent.fate is not Fate.PUBLISHED:
                session, number = session + 1, 0
            await asyncio.sleep(self._interval)

    async def _publish(self, payload: str) -> Fate:
        head = f"POST /publish/{self._channel} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
        request = f"{head}Connection: close\r\nContent-Length: {len(payload)}\r\n\r\n{payload}".encode()
        try:
            response = await send_request(self._slot.port, request, ANSWER_SECONDS)
        except ConnectionRefusedError:
            return Fate.REFUSED
        except (OSError, EOFError):
            return Fate.UNKNOWN
        return {200: Fate.PUBLISHED, 503: Fate.REFUSED}.get(response.status, Fate.UNKNOWN)

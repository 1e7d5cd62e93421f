"""Back ends that publish with `relay.AsyncPublisher`, straight to Redis."""

from __future__ import annotations

from random import Random
from typing import Final

from relay import AsyncPublisher
from relay.errors import BusUnavailable, PublishError, PublishRefused
from tests.faults.clients.publisher import Fate, Publisher
from tests.faults.clients.subscriber import PAUSE_SECONDS
from tests.faults.payload import Payload
from tests.faults.recorder import Recorder

REPEAT_SECONDS: Final = 90.0


class ProgramPublisher(Publisher):
    """Publishes without a gateway; args as for `Publisher`, and:

    Args:
        publisher: shared by several, as in a program.
    """

    def __init__(
        self,
        name: str,
        channel: str,
        interval: float,
        size: int,
        recorder: Recorder,
        random: Random,
        publisher: AsyncPublisher,
    ) -> None:
        super().__init__(name, channel, interval, size, recorder, random)
        self._publisher = publisher

    async def _send(self, label: str, payload: Payload) -> str | Fate | None:
        try:
            await self._publisher.publish(self.channel, payload)
        except (BusUnavailable, PublishRefused):
            return Fate.REFUSED
        except PublishError:
            return Fate.UNKNOWN
        return None


class RepeatingProgram(ProgramPublisher):
    """Publishes each message with a key, again after any error."""

    keyed = True

    async def _send(self, label: str, payload: Payload) -> str | Fate | None:
        until = self._recorder.now() + REPEAT_SECONDS
        while self._recorder.now() < until:
            try:
                await self._publisher.publish(self.channel, payload, idempotency_key=label)
            except PublishError:
                await self._pause(self._random.uniform(*PAUSE_SECONDS))
            else:
                return None
        return Fate.UNKNOWN

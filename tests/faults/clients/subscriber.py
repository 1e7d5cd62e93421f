"""What subscribers with a connection of their own have in common: they come back to any gateway."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Final

from websockets.exceptions import InvalidHandshake, InvalidMessage

from tests.faults.clients.listener import Listener
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place

FAILURES: Final = (OSError, EOFError, InvalidHandshake, InvalidMessage)
"""Of a connection; a timeout is one of them."""

PAUSE_SECONDS: Final = (0.05, 0.5)
"""Before a client comes back."""

ANSWER_SECONDS: Final = 10.0
"""For which a client waits for an answer, before it goes to another gateway."""


class Subscriber(Listener, ABC):
    """Listens to a channel until it is cancelled; see `Listener`.

    Args:
        name, channel, recorder, user: as of a `Listener`.
        places: of the gateways.
        random: chooses gateways.
    """

    def __init__(
        self,
        name: str,
        channel: str,
        places: Sequence[Place],
        recorder: Recorder,
        random: Random,
        *,
        user: str = "",
    ) -> None:
        super().__init__(name, channel, recorder, user=user)
        self._places = places
        self._random = random

    async def run(self) -> None:
        """Listen, and come back whenever a connection ends."""
        while True:
            place = self._random.choice(self._places)
            try:
                await self._listen(place)
            except FAILURES:
                self._end(None)
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))

    def _path(self, root: str) -> str:
        """Return the path of the channel, below that of the kind of client."""
        return f"{root}/{self.channel}" + (f"?user={self.user}" if self.user else "")

    @abstractmethod
    async def _listen(self, place: Place) -> None:
        """Listen at a gateway, until the connection ends."""

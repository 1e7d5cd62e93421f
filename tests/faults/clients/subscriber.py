"""What subscribers of all kinds have in common: they come back to any gateway, and record what they get."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import ClassVar, Final

from websockets.exceptions import InvalidHandshake, InvalidMessage

from tests.faults.operations import Ended, Kind, Received, Subscribed, ToldMissed
from tests.faults.payload import Payload, digest_of, label_of
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place

FAILURES: Final = (OSError, EOFError, InvalidHandshake, InvalidMessage)
"""Of a connection; a timeout is one of them."""

PAUSE_SECONDS: Final = (0.05, 0.5)
"""Before a client comes back."""

ANSWER_SECONDS: Final = 10.0
"""For which a client waits for an answer, before it goes to another gateway."""


class Subscriber(ABC):
    """Listens to a channel until it is cancelled.

    Args:
        name: its own; sessions are named after it.
        channel: what it listens to.
        places: of the gateways.
        recorder: where it notes everything.
        random: chooses gateways.
        user: its name, where it is asked who is there; empty: none.

    Attributes:
        kind: how it is connected.
        reading: cleared while it reads nothing.
        listening: whether the relay has said that it hears everything now.
        place: number of the gateway at which it is, or was last.
        last: label of the last message that it got.
        told_at: when it was told last that it may have missed messages; in seconds.
    """

    kind: ClassVar[Kind]

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
        self.name = name
        self.user = user
        self.channel = channel
        self._places = places
        self._recorder = recorder
        self._random = random
        self._sessions = 0
        self._session = ""
        self.reading = asyncio.Event()
        self.reading.set()
        self.listening = False
        self.place: int | None = None
        self.last = ""
        self.told_at = 0.0

    async def run(self) -> None:
        """Listen, and come back whenever a connection ends."""
        while True:
            place = self._random.choice(self._places)
            self.place = place.number
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

    def _begin(
        self, place: Place, *, since: str | None = None, recovered: bool | None = None, position: str | None = None
    ) -> None:
        """Note that the relay has said that a session begins."""
        self._session = f"{self.name}.{self._sessions}"
        self._sessions += 1
        self.listening = True
        self._recorder.note(
            Subscribed(
                at=self._recorder.now(),
                session=self._session,
                subscriber=self.name,
                kind=self.kind,
                channel=self.channel,
                since=since,
                recovered=recovered,
                position=position,
                gateway=place.number,
            )
        )

    def _receive(self, payload: Payload, position: str | None = None) -> None:
        self.last = label_of(payload)
        self._recorder.note(
            Received(
                at=self._recorder.now(),
                session=self._session,
                message=self.last,
                digest=digest_of(payload),
                position=position,
            )
        )

    def _missed(self, position: str | None) -> None:
        self.told_at = self._recorder.now()
        self._recorder.note(ToldMissed(at=self.told_at, session=self._session, position=position))

    def _end(self, code: int | None) -> None:
        """Note that the session has ended; nothing happens when there is none."""
        if self.listening:
            self.listening = False
            self._recorder.note(Ended(at=self._recorder.now(), session=self._session, code=code))

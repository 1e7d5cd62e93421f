"""A client that polls: each poll at any gateway where the channel has a history, else at the same one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from tests.faults.clients.subscriber import ANSWER_SECONDS, Subscriber
from tests.faults.load import has_history
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place
from tests.harness.http_response import get
from tests.harness.poll_client import messages_of

WAIT_SECONDS: Final = 5.0


class PollSubscriber(Subscriber):
    """Listens with polls. Its session goes on when a poll fails: that is sent again, with its cursor."""

    kind = "polls"

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
        super().__init__(name, channel, places, recorder, random, user=user)
        self._cursor: str | None = None

    async def _listen(self, place: Place) -> None:
        while await self._poll(place):
            if not self.reading.is_set():
                await self.reading.wait()
            if has_history(self.channel):
                place = self._random.choice(self._places)

    def _end(self, code: int | None) -> None:
        """End the session only if the relay has said so: a failed poll is no break."""
        if code is not None:
            super()._end(code)

    async def _poll(self, place: Place) -> bool:
        """Poll once; return whether to go on at this gateway."""
        cursor = "" if self._cursor is None else f"&cursor={self._cursor}"
        # The first one is answered at once, and says from when on all is heard.
        wait = WAIT_SECONDS if self.listening else 0
        target = f"/poll/{self.channel}?wait={wait:g}{cursor}"
        response = await get(place.door.port, target, wait + ANSWER_SECONDS)
        if response.status == 200:
            self._take(place, response.json)
        return response.status == 200 and self.listening

    def _take(self, place: Place, answer: dict[str, Any]) -> None:
        cursor, missed = answer["cursor"], answer["missed"]
        messages = messages_of(answer)
        positions = [element.get("position") for element in answer["messages"]]
        if not self.listening:
            missed = self._open(place, cursor, positions, missed)
        self._cursor = cursor
        for position, payload in zip(positions, messages, strict=True):
            if missed:  # the answer doesn't say where: before, among or right behind its messages
                self._missed(None)
            self._receive(payload, position)
        if missed:
            self._missed(None)
        if "closed" in answer:
            self._end(answer["closed"]["code"])

    def _open(self, place: Place, cursor: str, positions: list[str | None], missed: bool) -> bool:
        """Begin the session; return whether it is still to be told that messages are missing."""
        since = self._cursor if has_history(self.channel) else None
        if since is None:
            self._begin(place, position=cursor if has_history(self.channel) and not positions else None)
            return missed
        self._begin(place, since=since, recovered=not missed)
        return missed and bool(positions)

"""What listens to one channel, in the record: its sessions, what comes to them, what they are told."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from tests.faults.operations import Ended, Kind, Received, Subscribed, ToldMissed
from tests.faults.payload import Payload, digest_of, label_of
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place


class Listener:
    """Listens to a channel, and records what it gets.

    Args:
        name: its own; sessions are named after it.
        channel: what it listens to.
        recorder: where it notes everything.
        user: its name, where it is asked who is there; empty: none.

    Attributes:
        kind: how it is connected.
        reading: cleared while it reads nothing.
        listening: whether the relay has said that it hears everything now.
        last: label of the last message that it got.
        told_at: when it was told last that it may have missed messages; in seconds.
    """

    kind: ClassVar[Kind]

    def __init__(self, name: str, channel: str, recorder: Recorder, *, user: str = "") -> None:
        self.name = name
        self.user = user
        self.channel = channel
        self._recorder = recorder
        self._sessions = 0
        self._session = ""
        self.reading = asyncio.Event()
        self.reading.set()
        self.listening = False
        self.last = ""
        self.told_at = 0.0

    def _begin(
        self,
        place: Place,
        *,
        since: str | None = None,
        recovered: bool | None = None,
        position: str | None = None,
        speechless: bool = False,
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
                speechless=speechless,
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

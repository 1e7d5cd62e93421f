"""One channel of a client of the Centrifuge protocol: it remembers its position, as official clients do."""

from __future__ import annotations

import enum

from tests.faults.clients.centrifuge_connection import Content, Unexpected
from tests.faults.clients.listener import Listener
from tests.faults.payload import payload_of
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place

RESUBSCRIBE = 2500
"""Codes from here on say that the client should subscribe again."""


class State(enum.Enum):
    """Whether publications may come."""

    AWAY = enum.auto()
    """None may: it isn't subscribed, or its reply hasn't come."""
    HERE = enum.auto()
    """All do."""
    LEAVING = enum.auto()
    """Some may come until its end is confirmed, and are ignored."""


class CentrifugeSubscription(Listener):
    """A subscription; args as for `Listener`, and:

    Args:
        by_server: whether the client has it with its connection, and not by a command.
        insists: whether it asks to go on also where there is no history, which tells it whether it has missed
            something; official clients do so only the first time.

    Attributes:
        by_server: see above.
        state: see `State`.
    """

    kind = "centrifuge"

    def __init__(
        self,
        name: str,
        channel: str,
        recorder: Recorder,
        *,
        user: str = "",
        by_server: bool = False,
        insists: bool = False,
    ) -> None:
        super().__init__(name, channel, recorder, user=user)
        self.by_server = by_server
        self.state = State.AWAY
        self._insists = insists
        # Whether it asks to go on.
        self._resumes = False
        self._epoch = ""
        self._offset = 0

    @property
    def request(self) -> Content:
        """What it asks for: to go on where it was, if the relay has said that it could."""
        if not self._resumes:
            return {}
        return {"recover": True, "epoch": self._epoch} | ({"offset": self._offset} if self._offset else {})

    def begin(self, place: Place, result: Content) -> None:
        """Take the result of the subscription."""
        since = f"{self._epoch}:{self._offset}" if self._resumes else None
        recovered = bool(result.get("recovered"))
        if bool(result.get("was_recovering")) is (since is None) or (recovered and since is None):
            raise Unexpected(f"{self.name} has asked for {self.request}, and was told {result}")
        self._epoch, self._offset = result.get("epoch", ""), result.get("offset", 0)
        self._resumes = bool(result.get("positioned" if self._insists else "recoverable"))
        position = f"{self._epoch}:{self._offset}" if result.get("positioned") else None
        self._begin(
            place,
            since=since,
            recovered=None if since is None else recovered,
            position=position,
            speechless=self.by_server and position is None,
        )
        self.state = State.HERE
        for publication in result.get("publications", ()):
            self.publication(publication)

    def publication(self, publication: Content) -> None:
        """Take a publication."""
        if self.state is State.LEAVING:
            return
        if self.state is State.AWAY:
            raise Unexpected(f"{self.name} gets a publication before its subscription has begun: {publication!r:.120}")
        offset = publication.get("offset")
        self._offset = offset or self._offset
        self._receive(payload_of(publication["data"]), f"{self._epoch}:{offset}" if offset else None)

    def unsubscribed(self, code: int) -> bool:
        """Be told by the server that the subscription has ended; return whether it has to be begun anew.

        Args:
            code: why.
        """
        if code < RESUBSCRIBE or self.by_server or self.state is State.AWAY:
            raise Unexpected(f"{self.name} is unsubscribed with {code}, and was {self.state.name.lower()}")
        if self.state is State.LEAVING:
            return False
        self.end(code)
        return True

    def end(self, code: int | None, state: State = State.AWAY) -> None:
        """End, whatever the reason."""
        self.state = state
        self.told_at = self._recorder.now()
        self._end(code)

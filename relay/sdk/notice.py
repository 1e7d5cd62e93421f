"""What a program is told by a function of its own, in its place between two messages of a channel."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from relay.position import parse_position
from relay.sdk.event_reader import Event
from relay.sdk.presence_change import KINDS, PresenceChange

Missed = Callable[[str | None], object]
"""Called where messages may be missing, with the position after which the channel goes on; None: it counts none. What
it returns is awaited if it can be."""

Watch = Callable[[PresenceChange | None], object]
"""Called with each user that comes to a channel or goes; None: some may be missing before. What it returns is awaited
if it can be."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One such place.

    Args:
        function: of the program; None: it has none for this.
        what: it is called with.
        position: after which the channel goes on; None: this says nothing of it.
    """

    function: Callable[[Any], object] | None
    what: object
    position: str | None = None

    @classmethod
    def read(cls, event: Event, missed: Missed | None, watch: Watch | None) -> Self | None:
        """Return what an event tells; None: nothing that the program wants to be told.

        Args:
            event: of the channel.
            missed: the function for places where messages may be missing.
            watch: the function for users that come or go; None: there is none.

        Raises:
            ValueError, KeyError, TypeError, RecursionError: no relay says that.
        """
        if event.kind == "missed":
            said = json.loads(event.data)["position"]
            position = None if said is None else str(parse_position(said))
            return cls(missed, position, position)
        if event.kind in KINDS and watch is not None:
            return cls(watch, PresenceChange.read(event.kind, event.data))
        return None

    async def tell(self) -> None:
        """Call the function, and wait until it has ended."""
        assert self.function is not None
        told = self.function(self.what)
        if inspect.isawaitable(told):
            await told

"""In which order the commands of one client are carried out."""

from __future__ import annotations

from collections import deque
from typing import Final

from relay.protocols.centrifuge.commands import Command

ALONE: Final = frozenset({"connect", "subscribe", "unsubscribe", "refresh", "sub_refresh"})
"""Requests that are answered before the next command begins, as it may depend on them."""

MANY: Final = frozenset({"publish"})
"""Requests of which many may be under way: the bus keeps their order."""

SHORT: Final = frozenset({"connect", "unsubscribe", "refresh", "sub_refresh"}) | MANY
"""Requests whose answers are short, or the first. To the others there are long ones: a history, say."""

MOST_UNDER_WAY: Final = 32
"""Of the others, which only read: each costs a question to Redis or to a back end."""


class CommandOrder:
    """The commands of one client that have to wait, and how many are under way.

    A client sends many commands at once, such as one for each of its channels when it comes back. Each must find done
    what those before it have asked for. But a publication doesn't wait for the answer to the one before: then a client
    could publish no more than one message in each round trip to Redis.

    kind         begins when                                          until it is answered
    `ALONE`      nothing but readings is under way                    nothing begins
    `MANY`       nothing that goes alone is under way                 readings and those that go alone wait
    readings     nothing but fewer than `MOST_UNDER_WAY` readings is  nothing waits for them

    So no command overtakes another one that waits. While the client hasn't taken what was written to it, only those of
    `SHORT` begin: else any number of long answers would wait for it here.

    Attributes:
        full: whether it hasn't.
    """

    __slots__ = ("_alone", "_publications", "_readings", "_waiting", "full")

    def __init__(self) -> None:
        self.full = False
        self._alone = False
        self._publications = 0
        self._readings = 0
        self._waiting: deque[tuple[str, Command]] | None = None

    @property
    def waiting(self) -> int:
        """How many commands wait."""
        return 0 if self._waiting is None else len(self._waiting)

    def add(self, kind: str, command: Command) -> bool:
        """Count a command; return whether it begins now. Else it waits, and `next` returns it."""
        if self._waiting is None and self._may_begin(kind):
            self._begin(kind)
            return True
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append((kind, command))
        return False

    def end(self, kind: str) -> None:
        """Count that a command was answered."""
        if kind in ALONE:
            self._alone = False
        elif kind in MANY:
            self._publications -= 1
        else:
            self._readings -= 1

    def next(self) -> tuple[str, Command] | None:
        """Return the kind of the next command that begins now, and the command; None: there is none."""
        if not self._waiting or not self._may_begin(self._waiting[0][0]):
            return None
        found = self._waiting.popleft()
        if not self._waiting:
            self._waiting = None
        self._begin(found[0])
        return found

    def _may_begin(self, kind: str) -> bool:
        if self._alone or (self.full and kind not in SHORT):
            return False
        if kind in MANY:
            return True
        return not self._publications and (kind in ALONE or self._readings < MOST_UNDER_WAY)

    def _begin(self, kind: str) -> None:
        if kind in ALONE:
            self._alone = True
        elif kind in MANY:
            self._publications += 1
        else:
            self._readings += 1

"""In which order the commands of one client are carried out."""

from __future__ import annotations

from typing import Final

EXCLUSIVE: Final = frozenset({"connect", "subscribe", "unsubscribe", "refresh", "sub_refresh"})
"""Requests that are answered before the next command begins, as it may depend on them."""

CONCURRENT: Final = frozenset({"publish"})
"""Requests of which many may be under way: the bus keeps their order."""

MOST_UNDER_WAY: Final = 32
"""Of the others, which only read: each costs a question to Redis or to a back end."""


LARGE: Final = frozenset({"history", "presence"})
"""Readings whose answers may have a megabyte."""

MOST_LARGE: Final = 1
"""Of these under way: each is in memory a few times until its client has read it."""


class CommandOrder:
    """The commands of one client that are under way.

    A client sends many commands at once, such as one for each of its channels when it comes back. Each must find done
    what those before it have asked for. But a publication doesn't wait for the answer to the one before: then a client
    could publish no more than one message in each round trip to Redis.

    kind          begins when                                        until it is answered
    `EXCLUSIVE`   only readings are under way                        nothing begins
    `CONCURRENT`  nothing exclusive is under way                     readings and what is exclusive wait
    readings      only readings are, fewer than `MOST_UNDER_WAY`     nothing waits for them
    `LARGE`       the same, and of `LARGE` fewer than `MOST_LARGE`   nothing waits for them

    The first that may not begin waits, and all behind it with it: so no command overtakes another one. While the client
    hasn't taken what was written to it, none begins: else any number of answers would lie here.

    Attributes:
        full: whether it hasn't.
    """

    __slots__ = ("_alone", "_large", "_publications", "_readings", "full")

    def __init__(self) -> None:
        self.full = False
        self._alone = False
        self._publications = 0
        self._readings = 0
        self._large = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not (self._alone or self._publications or self._readings)

    def begin(self, kind: str) -> bool:
        """Count a command, if it may begin now; return whether it may."""
        if self._alone or self.full:
            return False
        if kind in CONCURRENT:
            self._publications += 1
        elif self._publications:
            return False
        elif kind in EXCLUSIVE:
            self._alone = True
        elif self._readings >= MOST_UNDER_WAY or (kind in LARGE and self._large >= MOST_LARGE):
            return False
        else:
            self._readings += 1
            self._large += kind in LARGE
        return True

    def answered(self, kind: str) -> None:
        """Count that a command was answered."""
        if kind in EXCLUSIVE:
            self._alone = False
        elif kind in CONCURRENT:
            self._publications -= 1
        else:
            self._readings -= 1
            self._large -= kind in LARGE

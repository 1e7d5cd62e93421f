"""Tells the log which pages were refused for where they come from."""

from __future__ import annotations

from typing import Final

from relay.logs import Logger
from relay.redaction import escape_controls

MOST_ORIGINS: Final = 100
"""How many are told. A relay has a few sites; programs that make up origins must not fill a disk."""

MOST_LETTERS: Final = 200
"""Of an origin, in an entry. The name of a host has at most 253 letters, and few have half of them."""

log = Logger("relay.http")


class RefusedOrigins:
    """The origins that one gateway has refused.

    A browser doesn't tell a page why it was refused, so only the log can tell which setting is wrong.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: set[str] = set()

    def note(self, origin: str) -> None:
        """Log an origin that was refused, unless it is in the log already, or so many others are.

        Args:
            origin: as a client has sent it: it may hold anything.
        """
        shown = escape_controls(origin[:MOST_LETTERS])
        if shown not in self._told and len(self._told) < MOST_ORIGINS:
            self._told.add(shown)
            log.info("origin refused", origin=shown, setting="RELAY_ALLOWED_ORIGINS")

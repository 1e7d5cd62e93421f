"""Tells the log which pages were refused for where they come from, and which requests for the host that they name."""

from __future__ import annotations

from typing import Final

from relay.auth.host import HostRefused
from relay.auth.origin import OriginRefused
from relay.errors import Refused
from relay.logs import Logger
from relay.redaction import escape_controls

MOST_NAMES: Final = 100
"""How many of either kind are told. A relay has few; programs that make up names must not fill a disk."""

MOST_LETTERS: Final = 200
"""Of a name, in an entry. The name of a host has at most 253 letters, and few have half of them."""

log = Logger("relay.http")


class RefusedNames:
    """The origins and the hosts that one gateway has refused.

    A browser doesn't tell a page why it was refused, and a proxy that sends another `Host` than clients do shows its
    own error page; so only the log can tell which setting is wrong.
    """

    __slots__ = ("_hosts", "_origins")

    def __init__(self) -> None:
        self._origins: set[str] = set()
        self._hosts: set[str] = set()

    def note(self, refused: Refused) -> None:
        """Log what was refused for a name, unless that is in the log already, or so many others are.

        Args:
            refused: may be about anything else; then nothing is logged.
        """
        if isinstance(refused, OriginRefused):
            shown = _shown(refused.origin)
            if _is_new(shown, self._origins):
                log.info("origin refused", origin=shown, setting="RELAY_ALLOWED_ORIGINS")
        elif isinstance(refused, HostRefused):
            shown = _shown(refused.host)
            if _is_new(shown, self._hosts):
                log.info("host refused", host=shown, setting="RELAY_ALLOWED_HOSTS")


def _shown(name: str) -> str:
    """Return a name as an entry shows it; as a client has sent it, it may hold anything."""
    return escape_controls(name[:MOST_LETTERS])


def _is_new(shown: str, told: set[str]) -> bool:
    """Return whether a name is to be told, and take note of it."""
    if shown in told or len(told) >= MOST_NAMES:
        return False
    told.add(shown)
    return True

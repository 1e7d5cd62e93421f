"""What a client has sent and has not been carried out yet."""

from __future__ import annotations

from typing import Final

from relay.protocols.centrifuge.commands import Command
from relay.protocols.centrifuge.formats import Format

COMMANDS_PER_TURN: Final = 8
"""Of one client, between the turns of all others: one command may cost as much as ten messages. As many are read at a
time: until then they are bytes. As commands they take twenty times as much memory."""


class Unread:
    """Payloads of one client, which are read as their commands are carried out.

    Args:
        format: of the payloads.
        payload: the first.
    """

    __slots__ = ("_at", "_format", "_payloads", "_read")

    def __init__(self, format: Format, payload: bytes) -> None:
        self._format = format
        # Lists, which most commands need for a moment only: two deques would take 1.2 KB, and a microsecond.
        self._payloads = [payload]
        # Where the first of them goes on.
        self._at = 0
        self._read: list[Command] = []

    def add(self, payload: bytes) -> None:
        """Add another one behind."""
        self._payloads.append(payload)

    def first(self) -> Command | None:
        """Return the next command; None: all are taken.

        Raises:
            FormatError: what comes is malformed.
        """
        if not self._read:
            if not self._payloads:
                return None
            self._read = self._read_part()
        return self._read[0]

    def take(self) -> None:
        """Take the next command, which `first` has returned."""
        del self._read[0]

    def _read_part(self) -> list[Command]:
        payload, start = self._payloads[0], self._at
        end = self._at = self._format.cut(payload, start, COMMANDS_PER_TURN)
        if end == len(payload):
            del self._payloads[0]
            self._at = 0
        return self._format.read(payload if end - start == len(payload) else payload[start:end])

"""What a client has sent and has not been carried out yet."""

from __future__ import annotations

from typing import Final

from relay.errors import Disconnect, ProtocolError
from relay.protocols.centrifuge.commands import Command
from relay.protocols.centrifuge.formats import Format, FormatError

COMMANDS_PER_TURN: Final = 8
"""Of one client, between the turns of all others: one command may cost as much as ten messages. As many are read at a
time: until then they are bytes. As commands they take twenty times as much memory."""


class Unread:
    """Payloads of one client, which are read as their commands are carried out.

    Args:
        format: of the payloads.
        payload: the first.
    """

    __slots__ = ("_at", "_fault", "_format", "_payloads", "_read")

    def __init__(self, format: Format, payload: bytes) -> None:
        self._format = format
        # Lists, which most commands need for a moment only: two deques would take 1.2 KB, and a microsecond.
        self._payloads = [payload]
        # Where the first of them goes on.
        self._at = 0
        self._read: list[Command] = []
        # Why what comes next can't be read; it is found out once.
        self._fault: str | None = None

    def add(self, payload: bytes) -> None:
        """Add another one behind."""
        self._payloads.append(payload)

    def first(self) -> Command | None:
        """Return the next command; None: all are taken.

        Raises:
            ProtocolError: what comes is malformed; each time.
        """
        if not self._read:
            if self._fault is not None:
                raise ProtocolError(Disconnect.UNEXPECTED_DATA, self._fault)
            if not self._payloads:
                return None
            self._read_part()
            return self.first()
        return self._read[0]

    def take(self) -> None:
        """Take the next command, which `first` has returned."""
        del self._read[0]

    def _read_part(self) -> None:
        try:
            self._read_some(COMMANDS_PER_TURN)
        except FormatError:
            try:
                self._read_some(1)  # what stands in front of the fault takes effect
            except FormatError as error:
                self._fault = str(error)

    def _read_some(self, most: int) -> None:
        payload, start = self._payloads[0], self._at
        end = self._format.cut(payload, start, most)
        self._read = self._format.read(payload if end - start == len(payload) else payload[start:end])
        self._at = end
        if end == len(payload):
            del self._payloads[0]
            self._at = 0

"""A WebSocket as its message reader sees it."""

from __future__ import annotations

from typing import Protocol

from relay.clients.session import Session
from relay.clients.unfinished_messages import Unfinished
from relay.errors import Disconnect


class Receiver(Unfinished, Protocol):
    """A WebSocket, whose messages are read.

    Attributes:
        paused: whether the bus takes no more of it: what was read has to wait in the reader.
        session: the client's.
    """

    paused: bool
    session: Session

    def answer(self, pongs: bytes) -> None:
        """Write the frames that answer pings."""

    def pause_reading(self) -> None:
        """Read no more until `go_on`."""

    def go_on(self) -> int:
        """Call `MessageReader.read`, for what waits; see `Waiting`."""

    def fail(self, disconnect: Disconnect) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): the client broke the protocol."""

    def message_failed(self) -> None:
        """End the client: taking in its message has raised an exception, which is being handled."""

    def protocol_ended(self) -> None:
        """Leave: the closing handshake has begun."""

    def flush_protocol(self) -> None:
        """Write what the library wants to say."""

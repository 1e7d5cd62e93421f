"""One command of a client and the reply to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from relay.errors import CustomDisconnect, Disconnect, RelayError
from relay.protocols.centrifuge.failures import error_of
from relay.protocols.centrifuge.results import ConnectResult, Error, LongResult, Result
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.multiplexed import MultiplexedSession
from relay.protocols.request_errors import TokenRefused


class Connection(Protocol):
    """The client's side; see `relay.protocols.centrifuge.connection`.

    Attributes:
        wire: how it is written to.
        session: the client's.
        server_side: channels to which it is subscribed without having asked.
    """

    wire: Wire
    session: MultiplexedSession

    @property
    def server_side(self) -> set[str]: ...

    def complete(self, result: ConnectResult) -> ConnectResult: ...

    def answered(self, kind: str, reply: bytes) -> None:
        """Write the reply to a command, and go on with those that wait."""


class Exchange:
    """A command that is under way; exactly one of the methods is called, once.

    Args:
        connection: of the client.
        id: of the command.
        kind: the name of its request.
    """

    __slots__ = ("connection", "id", "kind")

    def __init__(self, connection: Connection, id: int, kind: str) -> None:
        self.connection = connection
        self.id = id
        self.kind = kind

    @property
    def session(self) -> MultiplexedSession:
        """The client's session."""
        return self.connection.session

    def reply(self, result: Result) -> None:
        """Answer with a result."""
        self.connection.answered(self.kind, self.connection.wire.reply(self.id, result))

    def reply_in_parts(self, rest: LongResult, parts: Sequence[bytes]) -> None:
        """Answer with a long result whose parts are encoded; see `Format.reply_in_parts`."""
        wire = self.connection.wire
        self.connection.answered(self.kind, wire.framed([wire.format.reply_in_parts(self.id, rest, parts)]))

    def refuse(self, error: Error) -> None:
        """Answer with an error."""
        self.connection.answered(self.kind, self.connection.wire.refusal(self.id, error))

    def fail(self, failure: RelayError) -> None:
        """Answer with the error that a failure is, or close the client, whose token is for something else."""
        if isinstance(failure, TokenRefused) and failure.cause == "mismatch":
            self.close(Disconnect.INVALID_TOKEN)
        else:
            self.refuse(error_of(failure))

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """Close the client; first, so that no command that waits begins."""
        self.connection.session.close(why)
        self.connection.answered(self.kind, b"")

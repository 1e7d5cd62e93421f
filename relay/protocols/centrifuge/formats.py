"""The contract of a format of the Centrifuge protocol: how commands are read, and how clients are told something.

There is one object for each: `json_format.FORMAT` and `protobuf_format.FORMAT`. The latter is imported only for a
client that speaks it, because it loads Protobuf's library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from relay.errors import RelayError
from relay.message import Kind, Message
from relay.protocols.centrifuge.commands import Command
from relay.protocols.centrifuge.pushes import Push
from relay.protocols.centrifuge.results import Error, LongResult, Result


class FormatError(RelayError):
    """A payload can't be read; the client has to be closed.

    Args:
        detail: what is wrong with it, for logs.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class Format(Protocol):
    """One encoding of the protocol.

    Attributes:
        name: "json" or "protobuf".
        kind: of a WebSocket's messages.
        ping: encoded, as a reply is.
    """

    name: Literal["json", "protobuf"]
    kind: Kind
    ping: bytes

    def read(self, payload: bytes) -> list[Command]:
        """Return the commands of what a client has sent, or of a part of it: at least one.

        What the schema doesn't know is ignored.

        Raises:
            FormatError: it is malformed, whatever bytes it has; there is no other exception.
        """

    def cut(self, payload: bytes, start: int, most: int) -> int:
        """Return where a part of what a client has sent ends: what is behind it can be read by itself.

        Args:
            payload: what it has sent.
            start: where the part begins.
            most: commands that the part may have.

        Raises:
            FormatError: it is malformed.
        """

    def reply(self, id_: int, result: Result) -> bytes:
        """Return the reply to a command that is done, encoded; `join` makes a payload of it.

        Args:
            id_: of the command.
            result: of the command.
        """

    def part(self, result: LongResult) -> bytes:
        """Return a client of those on a channel, or a message of its history, encoded for `reply_in_parts`.

        Args:
            result: with nothing else in it.
        """

    def reply_in_parts(self, id_: int, rest: LongResult, parts: Sequence[bytes]) -> bytes:
        """Return the same as `reply` for a result that has all the parts.

        Args:
            id_: of the command.
            rest: of the result, without any part.
            parts: what `part` has returned.
        """

    def refusal(self, id_: int, error: Error) -> bytes:
        """Return the reply to a command that has failed, encoded."""

    def push(self, channel: str, push: Push) -> bytes:
        """Return a push, encoded.

        Args:
            channel: to which it belongs; "": to none.
            push: what it says.
        """

    def unidirectional_push(self, channel: str, push: Push) -> bytes:
        """Return a push to a client that can't say anything, encoded: without a reply around it."""

    def data(self, payload: bytes) -> bytes | None:
        """Return bytes as a field of type `Raw` carries them in this format.

        Returns:
            None: it can't carry them. JSON carries JSON; Protobuf carries everything.
        """

    def publication(self, message: Message, data: bytes | None = None) -> bytes:
        """Return the push of a message of the bus, encoded; this is the hot path.

        The first publication of a history also tells the history's epoch, as Centrifugo's does.

        Args:
            message: of the bus.
            data: what `data` has made of its payload; None: it is made here, and becomes a string when this format
                can't carry it.
        """

    def join(self, parts: Sequence[bytes]) -> bytes:
        """Return the payload that carries replies and pushes, in this order."""

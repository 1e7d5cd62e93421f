"""The Centrifuge protocol for clients that only listen, in JSON: bare pushes, and one request to begin with."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from relay.message import Message
from relay.protocols.centrifuge.commands import Command, ConnectRequest
from relay.protocols.centrifuge.formats import Format, FormatError
from relay.protocols.centrifuge.json_format import REQUEST_LEVEL, JsonFormat, read_object
from relay.protocols.centrifuge.pushes import Push
from relay.protocols.centrifuge.results import Result

_PUSH: Final = len(b'{"push":')
"""What stands in front of a push to a client that speaks, too; behind it stands a brace."""

_NOTHING: Final = b"null"
"""A request like this says as much as an empty one."""

_decode: Final = msgspec.json.Decoder(ConnectRequest).decode


class UnidirectionalFormat(JsonFormat):
    """Encodes and reads it; see `Format`."""

    def read(self, payload: bytes) -> list[Command]:
        """Return the one command that there is, of the request that a client begins with."""
        return [Command(id=1, connect=read_connect(payload))]

    def reply(self, id_: int, result: Result) -> bytes:
        """Return the reply to that command as a push."""
        return self.unidirectional_push("", cast(Push, result))

    def push(self, channel: str, push: Push) -> bytes:
        """Return a push, encoded, without a reply around it."""
        return self.unidirectional_push(channel, push)

    def publication(self, message: Message, data: bytes | None = None) -> bytes:
        """Return the push of a message of the bus, encoded: once for all such clients."""
        return super().publication(message, data)[_PUSH:-1]


UNIDIRECTIONAL: Final[Format] = UnidirectionalFormat()


def read_connect(payload: bytes) -> ConnectRequest:
    """Return the request that a client begins with.

    Raises:
        FormatError: it is malformed.
    """
    try:
        payload.decode()  # msgspec does not check the UTF-8 of `data`
        text = payload.strip()
        if text == _NOTHING:
            return ConnectRequest()
        return read_object(text, _decode, REQUEST_LEVEL)
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise FormatError(str(error)) from None
    except RecursionError:
        raise FormatError("too deep") from None

"""The answer to a long poll."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error

import msgspec
from msgspec import Struct

from relay.loadtest.generator.frame_codec import RemoteProtocolError


class PolledMessage(Struct):
    """One message of an answer: a text, or bytes in base64."""

    kind: str
    text: str = ""
    base64: str = ""
    position: str = ""

    @property
    def payload(self) -> bytes:
        """What was published.

        Raises:
            RemoteProtocolError: it can't be read.
        """
        return self.text.encode() if self.kind == "text" else decode_base64(self.base64.encode())


class PollClosed(Struct):
    """Code and reason of a subscription that the relay has ended."""

    code: int
    reason: str = ""


class PollAnswer(Struct):
    """A whole answer.

    Args:
        messages: what has come since the cursor, in order.
        cursor: for the next poll.
        missed: whether messages can be missing before or among these.
        closed: why the relay has ended the subscription; None: it has not.
    """

    messages: list[PolledMessage]
    cursor: str
    missed: bool = False
    closed: PollClosed | None = None


_decoder = msgspec.json.Decoder(PollAnswer)


def decode_answer(body: bytes) -> PollAnswer:
    """Return the answer that a body is.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError:
        raise RemoteProtocolError("an answer to a poll that can't be read") from None


def decode_base64(text: bytes) -> bytes:
    """Return the bytes that a text stands for.

    Raises:
        RemoteProtocolError: it stands for none.
    """
    try:
        return b64decode(text, validate=True)
    except Base64Error:
        raise RemoteProtocolError("a message in base64 that can't be read") from None

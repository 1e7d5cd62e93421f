"""Server-sent events: a channel as a stream that a browser's `EventSource` reads (HTML Living Standard, section 9.2).

    GET /sse/CHANNEL

    text            data: LINE        an event `message`; a `data:` line for each line of the text
    other text      event: text       base64; see `encode`
    binary          event: binary     base64
    heartbeat       :                 a comment
    end             event: close      {"code": 1001, "reason": "going away"}: what a WebSocket is told

Events have no `id:`; channels with a history will use it to resume.
"""

from __future__ import annotations

import random
from base64 import b64encode

import msgspec

from relay.errors import CustomDisconnect, Disconnect
from relay.message import Kind, Message
from relay.protocols import CloseMessage, Session
from relay.protocols.listen_only import ListenOnly
from relay.protocols.request import ConnectRequest, requested_channel

ROOT = "/sse"

HEARTBEAT = b":\n\n"

RETRY_MILLISECONDS = (1000, 5000)
"""Bounds of the pause after which a client comes back; each gets another, so that not all come at once."""

LINE_BYTES = len(b"\ndata: ") - 1
"""By how much each further line of a text makes its event longer."""

SPARE_BYTES = 1024
"""By how much `data:` lines may be longer than base64, so that no short text is sent encoded for its lines alone."""


def encode(message: Message) -> bytes:
    """Return the event that carries a message.

    A carriage return ends a line in this format as a line feed does, and a reader gets a line feed for either.
    So a text that has one travels as base64, by an event name of its own: nothing is changed on the way. A text
    of next to nothing but line feeds does, too: as `data:` lines it would be seven times as long, and fill the
    buffers of its readers.
    """
    payload = message.payload
    if message.kind is Kind.BINARY:
        return b"event: binary\ndata: " + b64encode(payload) + b"\n\n"
    lines = payload.count(b"\n")
    if b"\r" in payload or lines * LINE_BYTES > len(payload) // 3 + SPARE_BYTES:
        return b"event: text\ndata: " + b64encode(payload) + b"\n\n"
    if lines:
        payload = payload.replace(b"\n", b"\ndata: ")
    # The space is the format's own: a reader takes away one, so one that the text begins with stays.
    return b"data: " + payload + b"\n\n"


class ServerSentEvents(ListenOnly):
    """What is said to a client that reads events; see `relay.protocols.ClientProtocol`.

    Args:
        channel: the one channel that it listens to.
    """

    __slots__ = ()

    encode = staticmethod(encode)

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Return how long to wait before connecting again, and the welcome."""
        retry = b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)  # noqa: S311  # spreads load, guards nothing
        return retry if welcome is None else retry + encode(welcome)

    def ping(self) -> bytes:
        """Return a comment."""
        return HEARTBEAT

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return the last event, which says what a close frame would."""
        last = b"event: close\ndata: " + msgspec.json.encode({"code": why.code, "reason": why.reason}) + b"\n\n"
        return CloseMessage(why.code, why.reason, last)


def open_session(request: ConnectRequest, default_channel: str) -> ServerSentEvents:
    """Read what a client asks for.

    Raises:
        Refused: with 404 for a path that isn't one of these, with 400 for a bad channel.
    """
    return ServerSentEvents(requested_channel(request, ROOT, default_channel))

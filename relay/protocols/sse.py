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

from base64 import b64encode

import msgspec

from relay.message import Kind, Message
from relay.protocols.request import ConnectRequest, requested_channel

ROOT = "/sse"

HEARTBEAT = b":\n\n"

LINE_BYTES = len(b"\ndata: ") - 1
"""By how much each further line of a text makes its event longer."""

SPARE_BYTES = 1024
"""By how much `data:` lines may be longer than base64, so that no short text is sent encoded for its lines alone."""


def encode(message: Message) -> bytes:
    """Return the event that carries a message.

    A carriage return ends a line in this format as a line feed does, and a reader gets a line feed for either.
    So a text that has one travels as base64, by an event name of its own: nothing is changed on the way. A text
    of next to nothing but line feeds does, too: as `data:` lines it would be seven times as long, and fill the
    buffers of those who read it.
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


def retry(milliseconds: int) -> bytes:
    """Return what tells a reader how long to wait before it connects again."""
    return b"retry: %d\n\n" % milliseconds


def farewell(code: int, reason: str) -> bytes:
    """Return the last event of a stream that the relay ends.

    Args:
        code: WebSocket close code.
        reason: what a close frame would say.
    """
    return b"event: close\ndata: " + msgspec.json.encode({"code": code, "reason": reason}) + b"\n\n"


def open_session(request: ConnectRequest, default_channel: str) -> str:
    """Return the channel that a client asks for.

    Raises:
        Refused: with 404 for a path that isn't one of these, with 400 for a bad channel.
    """
    return requested_channel(request, ROOT, default_channel)

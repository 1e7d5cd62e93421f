"""How payloads of the Centrifuge protocol are told apart in streams that don't end: lines, events, and lengths."""

from __future__ import annotations

from functools import cache

from relay.message import Message
from relay.protocols.centrifuge import json_format
from relay.protocols.centrifuge.unidirectional_format import UNIDIRECTIONAL
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.frame import encode_frame


def line(payload: bytes) -> bytes:
    """Return JSON as lines: `\\n` stands between replies already."""
    return payload + b"\n"


def event(payload: bytes) -> bytes:
    """Return JSON as server-sent events, one for each line: no reply has a line end within."""
    return b"data: " + payload.replace(b"\n", b"\n\ndata: ") + b"\n\n"


def frames(payload: bytes) -> bytes:
    """Return JSON as frames of WebSockets, one for each line: their receivers need not split them."""
    return b"".join([encode_frame(Message("", one)) for one in payload.split(b"\n")])


def delimited(payload: bytes) -> bytes:
    """Return Protobuf as it is: each message has its length in front already."""
    return payload


@cache
def json_lines() -> Wire:
    """Return how streams of JSON are written to."""
    return Wire(json_format.FORMAT, line)


@cache
def json_events() -> Wire:
    """Return how streams of events are written to."""
    return Wire(json_format.FORMAT, event)


@cache
def protobuf_stream() -> Wire:
    """Return how streams of Protobuf are written to, whose library is loaded now."""
    from relay.protocols.centrifuge.protobuf_format import FORMAT

    return Wire(FORMAT, delimited)


@cache
def unidirectional_lines() -> Wire:
    """Return how streams of JSON are written to whose clients say nothing."""
    return Wire(UNIDIRECTIONAL, line)


@cache
def unidirectional_events() -> Wire:
    """Return how streams of events are written to whose clients say nothing."""
    return Wire(UNIDIRECTIONAL, event)


@cache
def unidirectional_frames() -> Wire:
    """Return how WebSockets are written to whose clients say nothing."""
    return Wire(UNIDIRECTIONAL, frames)

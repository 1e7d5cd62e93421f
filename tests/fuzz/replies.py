"""What a gateway may say to a client, whatever that sends: HTTP responses, then perhaps frames or events."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from relay.protocols.http_error import TLS_ALERT

Response = tuple[int, bytes]
"""Status; and the body where it is a sentence that explains an error, else nothing."""

Frame = tuple[int, bytes]
"""Opcode and payload."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [\x20-\x7e]*\r\n")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\t\x20-\x7e\x80-\xff]*)")
_EVENT = re.compile(r"(?:(?:data|event|id|retry)(?::.*)?|:.*)?")
_PING = "data: {}"
# Each client gets others.
_NAMES = re.compile(r'"(client|session|node|epoch)":"[^"]*"')
_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


@dataclass(slots=True)
class Said:
    """All that was said to one client, without what differs from time to time: dates, tokens, heartbeats.

    Args:
        responses: to its requests; without interim ones (100), which may come or not.
        frames: of its WebSocket, without pings.
        events: lines of its event stream, without comments and pauses.
        alert: whether it was told that this is no TLS.
    """

    responses: list[Response] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    alert: bool = False


class InvalidReply(Exception):
    """The gateway has said something that no client can understand, or that says it has failed.

    Args:
        fault: what is wrong.
        said: the bytes from there on.
    """

    def __init__(self, fault: str, said: bytes) -> None:
        super().__init__(fault, said)
        self.fault = fault
        self.said = said

    def __str__(self) -> str:
        return f"{self.fault}: {self.said[:300]!r}"


def read_replies(written: bytes) -> Said:
    """Return what was said to one client.

    Raises:
        InvalidReply: something of it is no valid reply.
    """
    said = Said()
    if written == TLS_ALERT:
        said.alert = True
        return said
    while written:
        status, headers, rest = _read_head(written)
        if status == 101:
            said.responses.append((status, b""))
            said.frames = read_frames(rest)
            break
        if (read_stream := _STREAMS.get(headers.get(b"content-type", b""))) is not None:
            said.responses.append((status, b""))
            said.events = read_stream(rest)
            break
        body, written = _read_body(status, headers, rest)
        explains = status >= 400 and headers.get(b"content-type", b"").startswith(b"text/plain")
        if status != 100:
            said.responses.append((status, body if explains else b""))
    return said


def _read_head(said: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    head, end, rest = said.partition(b"\r\n\r\n")
    first = _STATUS.match(head + b"\r\n")
    if first is None or not end:
        raise InvalidReply("no response", said)
    status, headers = int(first[1]), dict[bytes, bytes]()
    for line in head.split(b"\r\n")[1:]:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise InvalidReply("a header of a response is malformed", said)
        name = header[1].lower()
        if name in headers and name in (b"content-length", b"transfer-encoding", b"content-type"):
            raise InvalidReply("a header of a response comes twice", said)
        headers[name] = header[2]
    if status == 500:
        raise InvalidReply("an internal error", said)
    return status, headers, rest


def _read_body(status: int, headers: dict[bytes, bytes], rest: bytes) -> tuple[bytes, bytes]:
    """Return the body, and what follows it."""
    if status < 200 or status in (204, 304):
        return b"", rest
    if b"transfer-encoding" in headers:
        return _read_chunks(rest)
    if not rest or rest.startswith(b"HTTP/1."):
        return b"", rest  # to HEAD, or without a body
    length = headers.get(b"content-length")
    if length is None or not length.isdigit():
        raise InvalidReply("a response without an end", rest)
    if len(rest) < int(length):
        raise InvalidReply("a response is cut short", rest)
    return rest[: int(length)], rest[int(length) :]


def _read_chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end or re.fullmatch(rb"[0-9a-fA-F]+", size) is None or len(rest) < int(size, 16) + 2:
            raise InvalidReply("a chunk of a response is malformed", size + end + rest)
        length = int(size, 16)
        if rest[length : length + 2] != b"\r\n":
            raise InvalidReply("a chunk of a response has another length", rest)
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, rest


def read_frames(said: bytes) -> list[Frame]:
    """Return the frames that were said; pings are left out, as they come when it is time.

    So are pongs behind a close frame: until the client's own close frame a ping has to be answered (section 5.5.2).

    Raises:
        InvalidReply: they are not what a server may send (RFC 6455, section 5).
    """
    frames: list[Frame] = []
    position = 0
    while position < len(said):
        start = position
        closed = frames and frames[-1][0] == 8
        if closed and said[start] != 0x8A:
            raise InvalidReply("something follows a close frame", said[start:])
        if len(said) - start < 2:
            raise InvalidReply("a frame is cut short", said[start:])
        first, size = said[start], said[start + 1]
        position += 2
        if size in (126, 127):
            width = 2 if size == 126 else 8
            size = int.from_bytes(said[position : position + width], "big")
            position += width
            if size < (126 if width == 2 else 65536):
                raise InvalidReply("the length of a frame has more bytes than it needs", said[start:])
        payload = said[position : position + size]
        position += size
        if said[start + 1] & 0x80 or first not in (0x81, 0x82, 0x88, 0x89, 0x8A) or len(payload) < size:
            raise InvalidReply("a frame is malformed", said[start:])
        _check_payload(first & 0x0F, payload)
        if first != 0x89 and not closed:
            frames.append((first & 0x0F, payload))
    return frames


def _check_payload(opcode: int, payload: bytes) -> None:
    text = b""
    if opcode == 1:
        text = payload
    elif opcode >= 8 and len(payload) > 125:
        raise InvalidReply("a control frame is too long", payload)
    elif opcode == 8 and payload:
        code, text = int.from_bytes(payload[:2], "big"), payload[2:]
        if len(payload) < 2 or not (code in _CODES or 3000 <= code < 5000):
            raise InvalidReply("a close frame has no legal code", payload)
    try:
        text.decode()
    except UnicodeDecodeError:
        raise InvalidReply("a text is not UTF-8", payload) from None


def _read_events(rest: bytes, line_of: re.Pattern[str] = _EVENT) -> list[str]:
    try:
        lines = rest.removeprefix(b"\r\n").decode().split("\n")
    except UnicodeDecodeError:
        raise InvalidReply("an event is not UTF-8", rest) from None
    if lines[-1]:
        raise InvalidReply("an event is cut short", rest)
    if any(line_of.fullmatch(line) is None for line in lines):
        raise InvalidReply("an event is malformed", rest)
    told = [line for line in lines if line and line != _PING and not line.startswith((":", "retry:"))]
    return [_NAMES.sub(r'"\1":""', line) for line in told]


def _read_lines(rest: bytes) -> list[str]:
    """Return the lines of a stream of JSON, as those of an event stream."""
    *lines, cut = rest.split(b"\n")
    try:
        for line in lines:
            json.loads(line)
    except ValueError:
        raise InvalidReply("a line is no JSON", rest) from None
    if cut:
        raise InvalidReply("a line is cut short", rest)
    return _read_events(b"".join(b"data: %b\n" % line for line in lines))


def _read_delimited(rest: bytes) -> list[str]:
    """Make sure that a stream of Protobuf is whole; what it says is different each time."""
    at = 0
    while at < len(rest):
        size = shift = 0
        while at < len(rest) and rest[at] >= 128:
            size, at, shift = size | (rest[at] & 127) << shift, at + 1, shift + 7
        if at == len(rest) or at + 1 + (size | rest[at] << shift) > len(rest):
            raise InvalidReply("a message of Protobuf is cut short", rest)
        at += 1 + (size | rest[at] << shift)
    return []


_STREAMS: Final[Mapping[bytes, Callable[[bytes], list[str]]]] = {
    b"text/event-stream": _read_events,
    b"application/x-ndjson": _read_lines,
    b"application/octet-stream": _read_delimited,
}
"""Content-Type of a response that doesn't end → what reads it."""

_STREAM_TYPES: Final = tuple(b"\r\nContent-Type: %b\r\n" % name for name in _STREAMS)


def is_stream(written: bytes | bytearray) -> bool:
    """Return whether a response that doesn't end was begun."""
    return any(kind in written for kind in _STREAM_TYPES)

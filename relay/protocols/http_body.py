"""The body of an HTTP/1.1 request, which arrives in pieces (RFC 9112, sections 6.2 and 7.1). Pure."""

from __future__ import annotations

import re
from typing import Final

from relay.errors import Refused

MAX_LINE_BYTES: Final = 1024
"""Limit of the line before a chunk: its size has a few digits, the rest are extensions, which are dropped."""

MAX_TRAILER_BYTES: Final = 8192
"""Limit of all trailer fields, which follow the last chunk. They are dropped."""

STEPS_PER_TURN: Final = 300
"""How many steps of a body are taken in one turn. A chunk has three: size, data and end. They take 0.2 ms, as long as a
small request."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*+;[\t\x20-\x7e\x80-\xff]*+)?")
_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+")


class FixedBody:
    """A body with a Content-Length.

    Args:
        length: bytes.

    Attributes:
        complete: whether the whole body was taken.
    """

    __slots__ = ("_left", "complete")

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = not length

    def take(self, buffer: bytearray) -> bytes:
        """Remove what belongs to the body from the beginning of a buffer, and return it."""
        taken = bytes(buffer[: self._left])
        del buffer[: self._left]
        self._left -= len(taken)
        self.complete = not self._left
        return taken

    take_data = take


class ChunkedBody:
    """A body in chunks. It is passed on in chunks, without their extensions and without trailers.

    Attributes:
        complete: whether the whole body was taken.
    """

    __slots__ = ("_left", "_trailer", "complete")

    def __init__(self) -> None:
        # Bytes that are left of the present chunk, with the line end after it; 0: between two chunks.
        self._left = 0
        # Bytes that the trailer fields may still have; None: the last chunk has not come.
        self._trailer: int | None = None
        self.complete = False

    def take(self, buffer: bytearray) -> bytes:
        """Remove what belongs to the body from the beginning of a buffer, at most what one turn may take.

        Returns:
            The next piece of the body, in chunks; empty if there is no data in what has come.

        Raises:
            Refused: with 400; the body is malformed.
        """
        data = self.take_data(buffer)
        taken = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return taken + b"0\r\n\r\n" if self.complete else taken

    def take_data(self, buffer: bytearray) -> bytes:
        """Do the same as `take`; return what is in the chunks."""
        data = bytearray()
        done = 0
        for _ in range(STEPS_PER_TURN):
            used = self._take_one(buffer, done, data)
            if not used:
                break
            done += used
            if self.complete:
                break
        del buffer[:done]
        return bytes(data)

    def _take_one(self, buffer: bytearray, start: int, data: bytearray) -> int:
        """Take one line, or what has come of one chunk, into `data`; return its number of bytes in the buffer."""
        if self._trailer is not None:
            return self._take_field(buffer, start, self._trailer)
        if self._left > 2:
            piece = buffer[start : start + self._left - 2]
            data += piece
            self._left -= len(piece)
            return len(piece)
        if self._left:
            if len(buffer) - start < 2:
                return 0
            if buffer[start : start + 2] != b"\r\n":
                raise Refused(400, "the body is broken: a chunk has another length than it says")
            self._left = 0
            return 2
        end = _line_end(buffer, start, MAX_LINE_BYTES)
        if end is None:
            return 0
        size = _SIZE.fullmatch(buffer, start, end)
        if size is None:
            raise Refused(400, "the body is broken: a chunk does not begin with its length")
        length = int(size[1], 16)
        if length:
            self._left = length + 2
        else:
            self._trailer = MAX_TRAILER_BYTES
        return end + 2 - start

    def _take_field(self, buffer: bytearray, start: int, limit: int) -> int:
        """Drop a line after the last chunk, the empty line being the end; return its number of bytes in the buffer."""
        end = _line_end(buffer, start, limit)
        if end is None:
            return 0
        if end == start:
            self.complete = True
        elif _FIELD.fullmatch(buffer, start, end) is None:
            raise Refused(400, "the body is broken: what follows its last chunk is no header")
        self._trailer = limit - (end - start)
        return end + 2 - start


Body = FixedBody | ChunkedBody


def body_of(length: int | None) -> Body:
    """Return the body of a request, of which nothing has been taken yet.

    Args:
        length: in bytes; None: the body comes in chunks.
    """
    return ChunkedBody() if length is None else FixedBody(length)


def _line_end(buffer: bytearray, start: int, limit: int) -> int | None:
    """Return where a line of at most `limit` bytes ends; None: it is not complete yet."""
    end = buffer.find(b"\n", start, start + limit + 2)
    if end < 0:
        if len(buffer) - start >= limit + 2:
            raise Refused(400, "the body is broken: a line between its chunks is too long")
        return None
    if end == start or buffer[end - 1] != 0x0D:
        raise Refused(400, "the body is broken: lines must end with CR LF")
    return end - 1

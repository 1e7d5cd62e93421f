"""The body of an HTTP/1.1 request, as it comes in pieces (RFC 9112, sections 6.2 and 7.1)."""

from __future__ import annotations

import re
from typing import Final

from relay.errors import Refused

MAX_LINE_BYTES: Final = 1024
"""Of the line before a chunk; its number has a few, the rest are extensions, which are dropped."""

MAX_TRAILER_BYTES: Final = 8192
"""Of all fields behind the last chunk. They are dropped."""

STEPS_PER_TURN: Final = 300
"""How many steps of a body are taken at once; a chunk has three, its length, its data and its end. 0.2 ms, which is
what a small request costs."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*+;[\t\x20-\x7e\x80-\xff]*+)?")
_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+")


class FixedBody:
    """A body whose length was announced.

    Args:
        length: bytes.

    Attributes:
        complete: whether all of it was taken.
    """

    __slots__ = ("_left", "complete")

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = not length

    def take(self, buffer: bytearray) -> bytes:
        """Take what there is of the body from the beginning of a buffer, and return it."""
        taken = bytes(buffer[: self._left])
        del buffer[: self._left]
        self._left -= len(taken)
        self.complete = not self._left
        return taken


class ChunkedBody:
    """A body in chunks. What is returned of it is in chunks again, without their notes and without trailers.

    Attributes:
        complete: whether all of it was taken.
    """

    __slots__ = ("_left", "_trailer", "complete")

    def __init__(self) -> None:
        # Bytes of the present chunk with the line end behind it; 0 between two chunks.
        self._left = 0
        # Bytes that fields behind the last chunk may still have; None before that.
        self._trailer: int | None = None
        self.complete = False

    def take(self, buffer: bytearray) -> bytes:
        """Take what there is of the body from the beginning of a buffer, but no more than is due in one turn.

        Returns:
            The next piece of the body, in chunks. Empty: more must come first, or there were notes only.

        Raises:
            Refused: with 400; it is malformed.
        """
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
        taken = b"%x\r\n%b\r\n" % (len(data), bytes(data)) if data else b""
        return taken + b"0\r\n\r\n" if self.complete else taken

    def _take_one(self, buffer: bytearray, start: int, data: bytearray) -> int:
        """Take one line, or what there is of one chunk; return how many bytes of the buffer it has."""
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
        """Take a line behind the last chunk, and drop it; the empty one is the end."""
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
    """Return what takes the body of a request.

    Args:
        length: bytes; None: it comes in chunks.
    """
    return ChunkedBody() if length is None else FixedBody(length)


def _line_end(buffer: bytearray, start: int, limit: int) -> int | None:
    """Return where a line ends that has at most so many bytes; None when it isn't whole yet."""
    end = buffer.find(b"\n", start, start + limit + 2)
    if end < 0:
        if len(buffer) - start >= limit + 2:
            raise Refused(400, "the body is broken: a line between its chunks is too long")
        return None
    if end == start or buffer[end - 1] != 0x0D:
        raise Refused(400, "the body is broken: lines must end with CR LF")
    return end - 1

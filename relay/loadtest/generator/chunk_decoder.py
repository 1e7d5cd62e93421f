"""Decodes the chunks that servers send, each distinct chunk once.

A fan-out sends the same bytes to many clients. So a chunk that has been decoded is recognised by its bytes afterwards:
of a thousand equal deliveries one is taken apart, and the look-up compares all others with it, byte for byte. That is
what makes checking every delivery cheap.
"""

from __future__ import annotations

import re
from typing import Final

from relay.loadtest.generator.chunk import (
    AnswerNeeded,
    Close,
    DecodedChunk,
    Event,
    FaultyFrame,
    FrameContent,
    Ping,
    ProtocolViolation,
    Ready,
)
from relay.loadtest.generator.frame_codec import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_FRAME_BYTES,
    PING,
    PONG,
    RemoteProtocolError,
    first_frame,
)
from relay.loadtest.generator.payload import MIN_SIZE, filler, find_headers
from relay.loadtest.plan.plan import Dialect
from relay.loadtest.result.faults import Fault

MAX_REMEMBERED_BYTES: Final = 16 << 20
"""The decoder is full past this size: its chunks have to be collected, which forgets them."""

_FIN: Final = 0x80
_EXCERPT_BYTES: Final = 80


class _SequenceRuns:
    """The runs of consecutive messages of one chunk while it is decoded.

    Attributes:
        lasts: publisher → its latest sequence number.
    """

    __slots__ = ("_firsts", "_runs", "lasts")

    def __init__(self, chunk: DecodedChunk) -> None:
        self.lasts: dict[int, int] = {}
        self._firsts: dict[int, int] = {}
        self._runs = chunk.runs

    def begin(self, publisher: int, sequence: int) -> None:
        """Begin a run of a publisher, and end its run before."""
        if publisher in self._firsts:
            self._runs.append((publisher, self._firsts[publisher], self.lasts[publisher]))
        self._firsts[publisher] = self.lasts[publisher] = sequence

    def close(self) -> None:
        """End all runs."""
        self._runs += [(publisher, first, self.lasts[publisher]) for publisher, first in self._firsts.items()]


class ChunkDecoder:
    """Decodes chunks, and remembers them until they are collected.

    Args:
        run: number of the run; messages of other runs are foreign.
        size: payload size of a message in bytes.
        publishers: number of a publisher → number of its channel.
        dialect: templates for the server.

    Attributes:
        remembered: bytes → decoded chunk. Look a chunk up here before calling `decode`.
        latest: the chunk that `recall` returned last.
        latest_data: the bytes of `latest`; empty once it is forgotten.
        full: whether so much is remembered that it is time to collect.
    """

    def __init__(self, run: int, size: int, publishers: dict[int, int], dialect: Dialect) -> None:
        self.remembered: dict[bytes, DecodedChunk] = {}
        self.latest = DecodedChunk()
        self.latest_data = b""
        self.full = False
        self._bytes = 0
        self._run = run
        self._publishers = publishers
        self._tail = filler(size)
        self._bare = dialect.publish == "{payload}"
        self._frames: dict[bytes, FrameContent] = {}
        self._lines: dict[bytes, FrameContent] = {}
        self._answers = [_compile(pattern) for pattern, _ in dialect.answers]
        self._ready = _compile(dialect.ready) if dialect.ready else None
        self._ignore = [_compile(pattern) for pattern in dialect.ignore]

    def recall(self, data: bytes) -> DecodedChunk:
        """Return a decoded chunk; one that isn't remembered is decoded."""
        chunk = self.remembered.get(data)
        self.latest = self.decode(data) if chunk is None else chunk
        self.latest_data = data
        return self.latest

    def recall_message(self, payload: bytes) -> DecodedChunk:
        """Return the decoded chunk of one message that came without a frame; one that isn't remembered is decoded.

        A run whose messages come without frames has no chunks with them.
        """
        if (chunk := self.remembered.get(payload)) is None:
            chunk = self.remembered[payload] = DecodedChunk()
            content = self._content(payload)
            for publisher, sequence, due, lag in content.messages:
                chunk.runs.append((publisher, sequence, sequence))
                chunk.dues.append(due)
                chunk.lags.append(lag)
            chunk.events += content.events
            self._remember(payload)
        return chunk

    def decode(self, data: bytes) -> DecodedChunk:
        """Decode a chunk and remember it; it has to start at the beginning of a frame."""
        chunk = DecodedChunk()
        runs = _SequenceRuns(chunk)
        try:
            self._decode_frames(data, chunk, runs)
        except RemoteProtocolError as error:
            chunk.events.append(ProtocolViolation(str(error)))
        runs.close()
        self.remembered[data] = chunk
        self._remember(data)
        return chunk

    def _remember(self, data: bytes) -> None:
        self._bytes += len(data)
        self.full = self._bytes > MAX_REMEMBERED_BYTES

    def collect(self) -> list[DecodedChunk]:
        """Return the remembered chunks with their arrival times, and forget them."""
        chunks = list(self.remembered.values())
        self.remembered.clear()
        self.latest_data = b""
        self._frames.clear()
        self._lines.clear()
        self._bytes, self.full = 0, False
        return chunks

    def _decode_frames(self, data: bytes, chunk: DecodedChunk, runs: _SequenceRuns) -> None:
        """Decode all complete frames of a chunk.

        The frames of a run mostly have one size, and each comes to many clients. So the next frame is guessed to be as
        long as the one before, and looked up: a hit is a whole known frame, and nothing in it has to be decoded again.
        """
        frames, lasts, dues, lags = self._frames, runs.lasts, chunk.dues, chunk.lags
        fragments: list[bytes] = []
        unfinished = b""
        position = size = 0
        total = len(data)
        while True:
            end = position + size
            content = frames.get(data[position:end]) if end <= total and not fragments else None
            if content is None:
                if (frame := first_frame(data, position)) is None:
                    break
                head, payload, end = frame
                size = end - position
                content = None if fragments else frames.get(data[position:end])
            if content is None:
                message = self._message(head, payload, fragments, chunk)
                if message is None:
                    # A message that goes on in the next chunk is decoded again then, without its control frames.
                    unfinished += data[position:end] if head & 0x0F < CLOSE else b""
                    if len(unfinished) > MAX_FRAME_BYTES:
                        raise RemoteProtocolError(f"message of more than {MAX_FRAME_BYTES} bytes in fragments")
                    position = end
                    continue
                content = self._content(message)
                if not unfinished:
                    frames[data[position:end]] = content
                unfinished = b""
            position = end
            for publisher, sequence, due, lag in content.messages:
                if lasts.get(publisher) == sequence - 1:
                    lasts[publisher] = sequence
                else:
                    runs.begin(publisher, sequence)
                dues.append(due)
                lags.append(lag)
            if content.events:
                chunk.events += content.events
        chunk.rest = unfinished + data[position:]

    @staticmethod
    def _message(head: int, payload: bytes, fragments: list[bytes], chunk: DecodedChunk) -> bytes | None:
        """Return the message that a frame is or completes; None for a control frame or an unfinished message."""
        opcode = head & 0x0F
        if head & 0x70:
            raise RemoteProtocolError(f"frame with reserved bits (first byte {head:#04x})")
        if opcode >= CLOSE:
            if not head & _FIN or len(payload) > 125 or opcode > PONG:
                raise RemoteProtocolError(f"bad control frame (first byte {head:#04x})")
            if opcode == PING:
                chunk.events.append(Ping(payload))
            elif opcode == CLOSE:
                if len(payload) == 1:
                    raise RemoteProtocolError("close frame with half a code")  # RFC 6455, 5.5.1
                code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 1005
                chunk.events.append(Close(code, payload[2:].decode(errors="replace")))
            return None
        if opcode > BINARY or (opcode == CONTINUATION) != bool(fragments):
            raise RemoteProtocolError(f"frame out of order (first byte {head:#04x})")
        if head & _FIN and not fragments:
            return payload
        fragments.append(payload)
        if not head & _FIN:
            return None
        message = b"".join(fragments)
        fragments.clear()
        return message

    def _content(self, payload: bytes) -> FrameContent:
        """Return the content of a frame.

        Some servers write several messages into one frame, a line each, and group them differently for each client. So
        the content of each line is remembered, too.
        """
        if self._bare:
            content = self._line_content(payload)
        else:
            content = FrameContent([], [])
            for line in payload.split(b"\n"):
                if (known := self._lines.get(line)) is None:
                    known = self._lines[line] = self._line_content(line)
                content.messages.extend(known.messages)
                content.events.extend(known.events)
        if not content.messages and not content.events and not any(regex.search(payload) for regex in self._ignore):
            content.events.append(FaultyFrame(Fault.UNEXPECTED, excerpt(payload)))
        return content

    def _line_content(self, line: bytes) -> FrameContent:
        headers, damaged = find_headers(line, self._tail)
        events: list[Event] = [FaultyFrame(Fault.FOREIGN, f"damaged: {excerpt(text)}") for text in damaged]
        messages = []
        for header in headers:
            if header.run != self._run:
                events.append(FaultyFrame(Fault.FOREIGN, f"of run {header.run:06x}: {excerpt(line)}"))
            elif self._publishers.get(header.publisher) != header.channel:
                text = f"publisher {header.publisher} is not in channel {header.channel}"
                events.append(FaultyFrame(Fault.FOREIGN, text))
            else:
                messages.append((header.publisher, header.sequence, header.due, header.lag))
        if headers and self._bare and (len(headers) > 1 or len(line) != MIN_SIZE + len(self._tail)):
            events.append(FaultyFrame(Fault.FOREIGN, f"more than was sent: {excerpt(line)}"))
        # A server may put a request for an answer into one frame with messages.
        return FrameContent(messages, events + self._requests(line))

    def _requests(self, payload: bytes) -> list[Event]:
        """Return the events of a frame that the dialect's patterns find."""
        events: list[Event] = [
            AnswerNeeded(number) for number, pattern in enumerate(self._answers) if pattern.search(payload)
        ]
        if self._ready is not None and self._ready.search(payload):
            events.append(Ready())
        return events


def excerpt(payload: bytes) -> str:
    """Return the beginning of a payload as text for people."""
    more = "..." if len(payload) > _EXCERPT_BYTES else ""
    return payload[:_EXCERPT_BYTES].decode(errors="backslashreplace") + more


def _compile(pattern: str) -> re.Pattern[bytes]:
    """Return a pattern for frames; ^ and $ match at lines, since some servers write several messages into one frame."""
    return re.compile(pattern.encode(), re.MULTILINE)

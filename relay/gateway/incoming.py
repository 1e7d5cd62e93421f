"""The way in of a connection: from bytes to whole messages."""

from __future__ import annotations

import abc

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from relay.auth.identity import Identity
from relay.errors import Disconnect
from relay.gateway.context import Context, websockets_logger
from relay.gateway.member import Member
from relay.gateway.whole_frames import frame_end, whole_frames
from relay.message import Kind
from relay.node import Interest

MAX_FRAGMENTS = 4096
"""Frames per message: the message size bounds their payloads, not the number of empty ones (`websockets` has 4096)."""


class Incoming(Member):
    """The half of a connection that reads.

    Args:
        context: what all connections share.
        channel: see `Member`, as of the others.
        echo: whether the client gets its own messages.
        identity: who it is.
        interest: its claim on the channel.

    Attributes:
        heard: whether anything has come since the last ping.
    """

    __slots__ = ("_fragments", "_kind", "_missing", "_muted", "_partial_header", "_ws", "heard")

    def __init__(self, context: Context, channel: str, echo: bool, identity: Identity, interest: Interest) -> None:
        super().__init__(context, channel, echo, identity, interest)
        # A fresh one: that of the handshake would keep its request and response for as long as the client stays.
        self._ws = ServerProtocol(state=State.OPEN, max_size=context.max_message_bytes, logger=websockets_logger)
        self._fragments: list[bytes | bytearray | memoryview] | None = None
        self._kind = Kind.TEXT
        # Where the next frame begins: after so many bytes, or after the header that has begun.
        self._missing = 0
        self._partial_header = b""
        # Whether messages are ignored: they came after a fault.
        self._muted = False
        self.heard = True

    @abc.abstractmethod
    def _message(self, kind: Kind, payload: bytes) -> None:
        """Take one whole message."""

    @abc.abstractmethod
    def _send(self) -> None:
        """Write what the protocol wants to say."""

    def _receive(self, data: bytes) -> None:
        """Take in a chunk: messages that arrived whole directly, everything else through the library.

        The library gets whole frame headers only, so that it is always known where the next frame begins: a
        payload must never be taken for frames.
        """
        self.heard = True
        if self._partial_header:
            data, self._partial_header = self._partial_header + data, b""
        position, end = min(self._missing, len(data)), len(data)
        if position:
            self._missing -= position
            self._parse(data[:position])
        while position < end:
            if self._open and self._fragments is None:
                messages, position = whole_frames(data, self._context.max_message_bytes, position)
                for kind, payload in messages:
                    self._message(kind, payload)
                if position == end:
                    break
            stop = frame_end(data, position)
            if stop is None:
                self._partial_header = data[position:]
                break
            self._missing = max(0, stop - end)
            self._parse(data[position:stop])
            position = min(stop, end)
        if self._ws.writes:
            self._send()

    def _parse(self, data: bytes) -> None:
        """Let the library parse a frame or a piece of one."""
        ws = self._ws
        ws.receive_data(data)
        for event in ws.events_received():
            assert isinstance(event, Frame)
            opcode = event.opcode
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
                kind = Kind.TEXT if opcode is Opcode.TEXT else Kind.BINARY
                if event.fin:
                    self._message(kind, bytes(event.data))
                else:
                    self._kind, self._fragments = kind, [event.data]
            elif opcode is Opcode.CONT and self._fragments is not None:
                self._continue(event)
        if ws.state is not State.OPEN:
            self._leave()
            self._release_held()

    def _continue(self, frame: Frame) -> None:
        fragments = self._fragments
        assert fragments is not None
        if len(fragments) >= MAX_FRAGMENTS:
            self._fragments = None
            self._fail(Disconnect.TOO_MANY_FRAGMENTS)
            return
        fragments.append(frame.data)
        if frame.fin:
            self._fragments = None
            self._message(self._kind, b"".join(fragments))

    def _fail(self, disconnect: Disconnect) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): the client broke the protocol; hear it no more."""
        self._muted = True
        self._release_held()
        if self._ws.state is State.OPEN:
            self._context.counters.disconnects[disconnect.name] += 1
        self._ws.fail(disconnect.code, disconnect.reason)
        self._send()
        self._leave()

    def _end_reading(self) -> None:
        """Let go of what was read in part."""
        self._fragments = None
        # Its frame and the protocol hold each other: without this, only a full garbage collection would free them.
        self._ws.parser.close()

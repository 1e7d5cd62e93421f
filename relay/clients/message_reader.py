"""The way in of a WebSocket: from bytes to whole messages."""

from __future__ import annotations

from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.protocol import State

from relay.clients.context import Context
from relay.clients.frame_rates import CONTROL_FRAMES, FRAGMENTS, SMALL_FRAGMENT_BYTES
from relay.clients.library_protocol import LibraryProtocol
from relay.clients.receiver import Receiver
from relay.clients.utf8_validator import Utf8Validator
from relay.clients.whole_frames import frame_end, frames_before, whole_frames
from relay.errors import Disconnect, ProtocolError
from relay.limits.meter import Meter
from relay.message import Kind

MAX_FRAGMENTS = 4096
"""Frames per message: the message size bounds their payloads, not the number of empty ones (`websockets` has 4096)."""

_TEXT, _WHOLE_TEXT, _CLOSE = 0x01, 0x81, 0x88
_CONTINUATIONS = (0x00, 0x80)

_BREACHES = {1002: "PROTOCOL_ERROR", 1007: Disconnect.INVALID_TEXT.name, 1009: "MESSAGE_TOO_BIG"}
"""What the closes that the library begins are counted as."""


class MessageReader(LibraryProtocol):
    """Takes in what arrives whole directly, and everything else through the library.

    The library gets whole frame headers only, so that it is always known where the next frame begins: a payload must
    never be taken for frames.

    Args:
        context: what all clients share.
        receiver: gets the messages. They hold each other until `end`.

    Attributes:
        meter: of its messages; None: it has sent none.
        waiting: whether something was read that has to wait, for a turn or until the bus takes more.
        muted: whether messages are ignored, as they came after a fault.
    """

    __slots__ = (
        "_controls_due",
        "_fragments",
        "_fragments_due",
        "_kind",
        "_missing",
        "_receiver",
        "_rest",
        "_validator",
        "meter",
        "muted",
        "waiting",
    )

    def __init__(self, context: Context, receiver: Receiver) -> None:
        super().__init__(context)
        self._receiver = receiver
        self._fragments: list[bytes | bytearray | memoryview] | None = None
        self._kind = Kind.TEXT
        # Of a text that arrives in pieces.
        self._validator: Utf8Validator | None = None
        # The next frame begins after so many bytes, or with these: a header that isn't whole, or what has to wait.
        self._missing = 0
        self._rest = b""
        self.waiting = self.muted = False
        # See `Rate`.
        self._controls_due = self._fragments_due = 0.0
        self.meter: Meter | None = None

    @property
    def between_frames(self) -> bool:
        """Whether what is read next is the beginning of a frame, and nothing waits before it."""
        return not self._rest and not self._missing

    def keep(self, data: bytes) -> None:
        """Let what was read wait."""
        self._rest += data
        self.waiting = True

    def read(self, data: bytes) -> int:
        """Take in a turn's frames of what was read, with empty data of what waits; return how many they were."""
        context, receiver, meter = self._context, self._receiver, self.meter
        left = context.turns.frames
        if meter is None:
            left = min(left, context.sending.first_messages)
        elif (meter.messages_left < left or meter.bytes_left <= 0) and not self.muted:
            if self._hold(meter, data):
                return 0
            left = min(left, meter.messages_left)
        allowed = left
        if self._rest:
            data, self._rest = self._rest + data, b""
        position, end = 0, len(data)
        if self._missing:
            position = min(self._missing, end)
            self._missing -= position
            self._parse(data[:position], data[:position])
        while position < end:
            if receiver.paused:
                self.keep(data[position:])
                break
            if receiver.session.open:
                position, frames = self._take_whole(data, position, left)
                left -= frames
                if position == end or receiver.paused:
                    continue
            if self.eof_sent:
                break
            if left <= 0:
                self.keep(data[position:])
                receiver.pause_reading()
                context.turns.add(receiver)
                break
            bounds = frame_end(data, position)
            if bounds is None or (bounds[0] > end and bounds[1] - bounds[0] <= context.max_message_bytes):
                self._rest = data[position:]  # its header isn't whole, mask included
                break
            payload_at, stop = bounds
            left -= 1
            self._missing = max(0, stop - end)
            self._begin_frame(data[position:payload_at])
            self._parse(data[position:stop], data[payload_at:stop])
            position = min(stop, end)
        if self._ws is not None and self._ws.writes:
            receiver.flush_protocol()
        return allowed - left

    def forget_message(self) -> None:
        """Let go of a message that is finished, or never will be."""
        self._fragments = self._validator = None
        self._context.unfinished.discard(self._receiver)

    def end(self) -> None:
        """Let go of everything that was read, and of the receiver; nothing can be read after that."""
        self._rest, self.waiting = b"", False
        self.forget_message()
        super().end()
        del self._receiver

    def _take_whole(self, data: bytes, start: int, most: int) -> tuple[int, int]:
        """Take in what arrived whole, up to the message with which the bus takes no more of clients.

        Arguments as for `whole_frames`. Returns where what follows begins, and how many frames were taken.
        """
        receiver = self._receiver
        fragmented, max_size = self._fragments is not None, self._context.max_message_bytes
        messages, position, controls, pongs = whole_frames(data, max_size, start, most, fragmented)
        for number, (kind, payload) in enumerate(messages, 1):
            self._pass_on(kind, payload)
            if receiver.paused:
                taken = frames_before(data, start, number)
                messages, position, controls, pongs = whole_frames(data, max_size, start, taken, fragmented)
                break
        if messages:  # as in `count`
            meter = self.meter or self._make_meter()
            meter.messages_left -= len(messages)
            meter.bytes_left -= position - start
        if controls:
            self._count_controls(controls, pongs)
        return position, len(messages) + controls

    def _pass_on(self, kind: Kind, payload: bytes) -> None:
        """Pass one whole message to the client's protocol; text must be UTF-8 (RFC 6455, section 8.1)."""
        if self.muted:
            return
        if kind is Kind.TEXT and not payload.isascii():  # the look takes a third of the time of decoding
            try:
                payload.decode()
            except UnicodeDecodeError:
                self._receiver.fail(Disconnect.INVALID_TEXT)
                return
        session = self._receiver.session
        try:
            session.protocol.received(session, kind, payload)
        except ProtocolError as error:
            self._receiver.fail(error.disconnect)
        except Exception:  # noqa: BLE001  # whatever it is, it is logged and ends this client only
            self._receiver.message_failed()

    def _begin_frame(self, header: bytes) -> None:
        """Prepare for a frame that the library will parse, by its header."""
        first = header[0]
        fragmented = self._fragments is not None
        if first == _CLOSE and fragmented:
            # It may stand between fragments (RFC 6455, section 5.4). `websockets` takes it for a breach.
            self.forget_message()
            self.ws.current_size = None
        elif not fragmented:
            text = first == _TEXT or (first == _WHOLE_TEXT and self._missing > 0)
            self._validator = Utf8Validator() if text else None
        if self._validator is not None:
            masked = header[1] & 0x80 and (first in _CONTINUATIONS if fragmented else True)
            self._validator.begin_frame(header[-4:] if masked else b"")

    def _parse(self, data: bytes, payload: bytes) -> None:
        """Let the library parse a frame or a piece of one.

        Args:
            data: the frame or the piece.
            payload: the part of it that is payload.
        """
        ws = self.ws
        was_open = ws.state is State.OPEN
        self.count(0, len(data))
        ws.receive_data(data)
        for event in ws.events_received():
            assert isinstance(event, Frame)
            opcode = event.opcode
            if opcode in CTRL_OPCODES:
                self._count_controls(1, b"")
            elif opcode is Opcode.CONT:
                self._continue(event)
            else:
                kind = Kind.TEXT if opcode is Opcode.TEXT else Kind.BINARY
                if event.fin:
                    self.count(1, 0)
                    self._pass_on(kind, bytes(event.data))
                else:
                    self._kind, self._fragments = kind, [event.data]
                    self._count_fragment(event)
        if self._validator is not None and not ws.eof_sent:
            try:
                self._validator.feed(payload)
            except UnicodeDecodeError:
                self._receiver.fail(Disconnect.INVALID_TEXT)
        if ws.parser_exc is not None:
            # Its traceback holds what was parsed, and the protocol, which holds it: a cycle.
            ws.parser_exc = None
            if was_open and ws.close_sent is not None:
                self._context.counters.disconnects[_BREACHES.get(ws.close_sent.code, "PROTOCOL_ERROR")] += 1
        if ws.state is not State.OPEN:
            self._receiver.protocol_ended()
        if not ws.eof_sent and (self._missing or self._fragments is not None):
            self._context.unfinished.add(self._receiver)
        else:
            self.forget_message()

    def _continue(self, frame: Frame) -> None:
        if (fragments := self._fragments) is None:
            return  # of a message that was given up
        if len(fragments) >= MAX_FRAGMENTS:
            self._receiver.fail(Disconnect.TOO_MANY_FRAGMENTS)
            return
        fragments.append(frame.data)
        if frame.fin:
            self._fragments = None
            self.count(1, 0)
            self._pass_on(self._kind, b"".join(fragments))
        else:
            self._count_fragment(frame)

    def count(self, messages: int, size: int) -> None:
        """Count messages, and bytes as they were read; see `Meter`."""
        meter = self.meter or self._make_meter()
        meter.messages_left -= messages
        meter.bytes_left -= size

    def _make_meter(self) -> Meter:
        meter = self.meter = Meter(self._context.sending, self._context.loop.time())
        return meter

    def _hold(self, meter: Meter, data: bytes) -> bool:
        """Return whether nothing may be taken in for now; then it waits, or is dropped as the client was closed."""
        hold = meter.renew(self._context.loop.time())
        if hold is None:
            return False
        if hold.failed:
            self._rest = b""
        else:
            self.keep(data)
        self._context.throttled.hold(self._receiver, meter, hold)
        return True

    def _count_controls(self, frames: int, pongs: bytes) -> None:
        """Answer pings, and fail a client that sends more pings and pongs than any needs."""
        if pongs and self.open:
            if self._ws is not None and self._ws.writes:
                self._receiver.flush_protocol()  # the pong of a ping that came before, in pieces
            self._receiver.answer(pongs)
        due = CONTROL_FRAMES.count(self._controls_due, self._context.loop.time(), frames)
        if due is None:
            self._receiver.fail(Disconnect.FRAME_RATE)
        else:
            self._controls_due = due

    def _count_fragment(self, frame: Frame) -> None:
        """Fail a client that sends more small fragments than any needs."""
        if len(frame.data) >= SMALL_FRAGMENT_BYTES:
            return
        due = FRAGMENTS.count(self._fragments_due, self._context.loop.time(), 1)
        if due is None:
            self._receiver.fail(Disconnect.FRAME_RATE)
        else:
            self._fragments_due = due

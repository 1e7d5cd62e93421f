"""One open WebSocket.

`websockets`' Sans-I/O protocol parses frames, answers pings and does the closing handshake. Messages that arrive
whole take a shorter way in (`message_reader.py`), and all messages take the way out of `client.py`. No task, timer or
queue belongs to a client; an idle one costs its memory and one ping per interval.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from websockets.protocol import SEND_EOF, State

from relay.clients.client import Client
from relay.clients.context import READ_BUFFER_BYTES, Context
from relay.clients.message_reader import MessageReader
from relay.clients.session import Session
from relay.clients.whole_frames import PONG_BYTES, is_pong
from relay.errors import ALL_PUBLISHED, RIGHT_ENDED, CustomDisconnect, Disconnect, PublishError
from relay.logs import Logger

PING = b"\x89\x00"

log = Logger("relay.gateway")


class WebSocket(Client):
    """A client that speaks a protocol over a WebSocket.

    Args:
        context: what all clients share.
        session: the client's.

    Attributes:
        heard: whether anything has come since the last ping.
        paused: see `Receiver`.
    """

    __slots__ = ("_leaving", "_reader", "heard", "paused")

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        self._reader = MessageReader(context, self)
        self.heard = True
        # Whether the node has paused it: what was read already waits in the reader, a chunk at most.
        self.paused = False
        # Whether it is read no more until it is closed.
        self._leaving = False

    def take_over(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Begin; see `Client`."""
        self._begin(transport, response)
        if received:
            self._take_in(received)
        if self.reading:
            transport.resume_reading()

    @property
    def reading(self) -> bool:
        """Whether it is read now; see `Unfinished`."""
        return not self.paused and not self._reader.waiting and not self._leaving

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """Begin the closing handshake; nothing happens when it has begun already."""
        reader = self._reader
        if not reader.open:
            return
        if self.paused or why in RIGHT_ENDED:
            # Something that it has sent may be left, and stays unpublished: it must hear so.
            reader.muted = True
            if why in ALL_PUBLISHED:
                why = Disconnect.BUS_UNAVAILABLE
        if why is Disconnect.SLOW_CONSUMER:
            self._drop_held()
        else:
            self._release_held()
        self._context.counters.disconnects[why.name] += 1
        closing = self.session.protocol.closing(why)
        if closing.last:
            self._write(closing.last)
        reader.ws.send_close(closing.code, closing.reason)
        self._leaving = False
        self.resume_publishing()
        self._context.throttled.release(self)
        if reader.meter is not None:
            # In any case: `prepare_to_close` may have lifted the rates, and what it sends until its close frame counts.
            reader.meter.reset(self._context.loop.time(), self._context.sending)
        self._read_on()
        self.flush_protocol()
        self._leave()

    @property
    def takes_turns(self) -> bool:
        """Whether something that was read of it waits for its turn, and for nothing else; see `Closable`."""
        return self._reader.waiting and self._reader.open and not self.paused

    def prepare_to_close(self) -> bool:
        """Read no more, so that the fate of all that was read can be known before the close frame.

        Returns:
            Whether nothing of what was read waits here.
        """
        if self._transport is not None and self._reader.open and not self._leaving:
            self._leaving = True
            self._transport.pause_reading()
        self._context.throttled.release(self)
        return not self.paused and not self._reader.waiting

    def give_up_message(self) -> None:
        """Close: the rest of a message has not come in time; see `Unfinished`."""
        self.fail(Disconnect.MESSAGE_TIMEOUT)

    # What keepalive calls.

    def ping(self) -> None:
        """Send a ping, unless an answer could not get through anyway."""
        if self._transport is not None and self._held is None and self.reading:
            self.heard = False
            self._write(self.session.protocol.ping() or PING)

    def check_heard(self) -> None:
        """Close a client that has sent nothing since its last ping; while it isn't read, its pong may wait."""
        if not self.heard and self._held is None and self.reading:
            self.close(Disconnect.KEEPALIVE_TIMEOUT)

    # What the node calls on a publisher.

    def publish_failed(self, error: PublishError) -> None:
        """Close, and publish nothing more; see `Source`."""
        reader = self._reader
        reader.muted = True
        if reader.open:
            self.close(error.disconnect)
        elif reader.ws.close_sent is not None and reader.ws.close_sent.code in self._all_published():
            # Its message has crossed our close frame. No code can say any more that it failed; a reset still may.
            self.abort()

    def pause_publishing(self) -> None:
        """Read no more for now; see `PausableSource`."""
        if self._transport is not None and self._reader.open:
            self.paused = True
            self._transport.pause_reading()

    def resume_publishing(self) -> None:
        """Take in what was read before, then read again; see `PausableSource`."""
        if self.paused:
            self.paused = False
            self.heard = True  # its pong may have waited; the next ping will tell
            if self._reader.waiting:
                self.go_on()
            else:
                self._read_on()

    # What the transport calls.

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what was read; after a full buffer let others have their turn.

        libuv would read the same socket up to 32 times in a row.
        """
        context = self._context
        if nbytes == PONG_BYTES and not self.heard and self._reader.between_frames and is_pong(context.read_buffer):
            # All that most clients ever send. Others than the one that was asked for are counted.
            self.heard = True
            return
        data = bytes(context.read_buffer[:nbytes])
        if context.node.congested or self.paused:
            self._take_in(data)
        else:
            self.heard = True
            self._reader.read(data)
        if nbytes == READ_BUFFER_BYTES and self.reading and self._transport is not None:
            self._transport.pause_reading()
            context.node.hold_back(self)
            context.loop.call_soon(self._read_on)

    def go_on(self) -> int:
        """Take in what has waited for a turn, or for the client's rate; see `Waiting`."""
        if self.paused:
            return 0  # `resume_publishing` gives it its turn
        self._reader.waiting = False
        frames = self._take_in(b"")
        if not self._reader.waiting:
            if self._transport is None:
                self._end_reading()
            else:
                self._read_on()
        return frames

    def eof_received(self) -> bool:
        """Close our side too. Leave first: uvloop's transport refuses writes after its `write_eof`."""
        self._leave()
        self._release_held()
        self._reader.ws.receive_eof()
        self.flush_protocol()
        if self.stuck:
            self._abort_later()  # the transport closes when all is written: never, for a client that reads no more
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything; called by the event loop."""
        self._context.node.forget(self)
        self._context.throttled.release(self)
        if not self._reader.waiting or self.paused:
            self._end_reading()
        # else what it had sent is taken in first, turn by turn
        self._gone(self._reader.close_code)

    # What its reader calls; see `Receiver`.

    def answer(self, pongs: bytes) -> None:
        """Write pongs, but none for a client that doesn't read: RFC 6455, section 5.5.3, asks for the last only."""
        if self._held is None:
            self._write(pongs)

    def pause_reading(self) -> None:
        """Read no more until `go_on`."""
        if self._transport is not None:
            self._transport.pause_reading()

    def fail(self, disconnect: Disconnect) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): the client broke the protocol; hear it no more."""
        reader = self._reader
        reader.muted = True
        self._release_held()
        closing = self.session.protocol.closing(disconnect)
        if reader.open:
            self._context.counters.disconnects[disconnect.name] += 1
            if closing.last:
                self._write(closing.last)
        reader.ws.fail(closing.code, closing.reason)
        reader.forget_message()
        self.flush_protocol()
        self._leave()

    def message_failed(self) -> None:
        """Drop the socket, after a fault in the protocol, or in the rights of a program around the gateway.

        An exception that got through would end it as well when it is read, but not when it has its turn: then it would
        be read no more.
        """
        log.exception("message failed", channel=self.session.protocol.channel, user=self.session.user)
        self._reader.muted = True
        self.abort()

    def protocol_ended(self) -> None:
        """Leave: the closing handshake has begun."""
        self._leave()
        self._release_held()

    def flush_protocol(self) -> None:
        """Write what the library wants to say: pongs, close frames, the end of the stream."""
        transport = self._transport
        if transport is None:
            return
        ws = self._reader.ws
        writes = ws.data_to_send()
        data = b"".join(writes)
        if data and (self._held is None or ws.state is not State.OPEN):
            self._write(data)
        # else pongs for a client that doesn't read; see `answer`
        if SEND_EOF in writes and not transport.is_closing() and transport.can_write_eof():
            # Half-close and keep reading: closing with unread data would reset the connection and take the
            # close frame with it.
            with suppress(OSError):  # the client has disconnected, and the event loop hasn't noticed yet
                transport.write_eof()
        if ws.close_expected():
            self._abort_later()

    def _take_in(self, data: bytes) -> int:
        """Take in what was read, or keep it while the bus takes no more of clients; see `MessageReader.read`."""
        node = self._context.node
        if node.congested and not self._reader.muted:
            # Before the next message, not with it: however many clients there are, none finds the bus full.
            node.pause(self)
        if self.paused:
            self._reader.keep(data)
            return 0
        self.heard = True
        return self._reader.read(data)

    def _all_published(self) -> set[int]:
        """Return the close codes by which the client believes that all it had sent was published."""
        return {self.session.protocol.closing(why).code for why in ALL_PUBLISHED}

    def _read_on(self) -> None:
        if self.reading and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end_reading(self) -> None:
        """Leave, and let go of everything that was read: nothing of it is left to be published."""
        self._leave()
        self._reader.end()
        self.session.end()

"""One open WebSocket.

`websockets`' Sans-I/O protocol parses frames, answers pings and does the closing handshake. Messages that arrive
whole take a shorter way in, and all messages take the way out of `relay.clients.outgoing`. No task, timer or queue
belongs to a connection; an idle one costs its memory and one ping per interval.
"""

from __future__ import annotations

import asyncio

from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from relay.auth.authenticator import Identity
from relay.brokers.shares import Share
from relay.clients.context import READ_BUFFER_BYTES, Context
from relay.clients.incoming import Incoming
from relay.errors import CustomDisconnect, Disconnect, PublishError
from relay.hub import Encoder
from relay.message import Kind, Message
from relay.node import Interest
from relay.protocols import plain

PING = b"\x89\x00"


class Connection(Incoming):
    """A client of one channel, from the end of its handshake to the end of its socket.

    Args:
        context: what all connections share.
        session: the channel, and whether the client gets its own messages.
        identity: who it is.
        interest: its claim on the channel; released when it leaves.
    """

    __slots__ = ("_leaving",)

    share = Share.CLIENTS

    def __init__(self, context: Context, session: plain.PlainSession, identity: Identity, interest: Interest) -> None:
        super().__init__(context, session.channel, session.echo, identity, interest)
        # Whether it is read no more until it is closed.
        self._leaving = False

    @property
    def encode(self) -> Encoder:
        """Frames of the plain protocol; see `Subscriber`."""
        return plain.encode

    def open(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Take over a socket; see `Member`."""
        self._join(transport)
        transport.write(response + self._context.welcome)
        if received:
            self._take_in(received)
        if self.reading:
            transport.resume_reading()

    @property
    def reading(self) -> bool:
        """Whether it is read now; see `Unfinished`."""
        return not self._paused and not self._waiting and not self._leaving

    def close(self, disconnect: Disconnect | CustomDisconnect) -> None:
        """Begin the closing handshake; nothing happens when it has begun already."""
        if self._ws.state is not State.OPEN:
            return
        if self._paused:
            # Something that it has sent may be left, and stays unpublished: it must hear so.
            self._muted = True
            if disconnect is Disconnect.GOING_AWAY:
                disconnect = Disconnect.BUS_UNAVAILABLE
        if disconnect is Disconnect.SLOW_CONSUMER:
            self._drop_held()
        else:
            self._release_held()
        self._context.counters.disconnects[disconnect.name] += 1
        self._ws.send_close(disconnect.code, disconnect.reason)
        self._leaving = False
        self.resume_publishing()
        self._read_on()
        self._send()
        self._leave()

    def prepare_to_close(self) -> bool:
        """Read no more, so that the fate of all that was read can be known before the close frame.

        Returns:
            Whether nothing of what was read waits here.
        """
        if self._transport is not None and self._ws.state is State.OPEN and not self._leaving:
            self._leaving = True
            self._transport.pause_reading()
        return not self._paused and not self._waiting

    # What keepalive calls.

    def ping(self) -> None:
        """Send a ping, unless an answer could not get through anyway."""
        if self._transport is not None and self._held is None and self.reading:
            self.heard = False
            self._transport.write(PING)

    def check_heard(self) -> None:
        """Close a client that has sent nothing since its last ping; while it isn't read, its pong may wait."""
        if not self.heard and self._held is None and self.reading:
            self.close(Disconnect.KEEPALIVE_TIMEOUT)

    # What the node calls on a publisher.

    def publish_failed(self, error: PublishError) -> None:
        """Close, and publish nothing more; see `Source`."""
        self._muted = True
        if self._ws.state is State.OPEN:
            self.close(error.disconnect)
        elif self._ws.close_sent is not None and self._ws.close_sent.code == Disconnect.GOING_AWAY.code:
            # Its message has crossed our close frame. No code can say any more that it failed; a reset still may.
            self.abort()

    def pause_publishing(self) -> None:
        """Read no more for now; see `PausableSource`."""
        if self._transport is not None and self._ws.state is State.OPEN:
            self._paused = True
            self._transport.pause_reading()

    def resume_publishing(self) -> None:
        """Take in what was read before, then read again; see `PausableSource`."""
        if self._paused:
            self._paused = False
            self.heard = True  # its pong may have waited; the next ping will tell
            if self._waiting:
                self.go_on()
            else:
                self._read_on()

    # What the transport calls.

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer that all connections share."""
        return self._context.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what was read; after a full buffer let others have their turn.

        libuv would read the same socket up to 32 times in a row.
        """
        context = self._context
        data = bytes(context.read_buffer[:nbytes])
        if context.node.congested or self._paused:
            self._take_in(data)
        else:
            self._receive(data)
        if nbytes == READ_BUFFER_BYTES and self.reading and self._transport is not None:
            self._transport.pause_reading()
            context.node.hold_back(self)
            context.loop.call_soon(self._read_on)

    def go_on(self) -> int:
        """Take in what has waited for a turn; see `Waiting`."""
        if self._paused:
            return 0  # `resume_publishing` gives it its turn
        self._waiting = False
        frames = self._take_in(b"")
        if not self._waiting:
            if self._transport is None:
                self._end_reading()
            else:
                self._read_on()
        return frames

    def eof_received(self) -> bool:
        """Close our side too. Leave first: uvloop's transport refuses writes after its `write_eof`."""
        self._leave()
        self._release_held()
        self._ws.receive_eof()
        self._send()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything; called by the event loop."""
        self._context.node.forget(self)
        if not self._waiting or self._paused:
            self._end_reading()
        # else what it had sent is taken in first, turn by turn
        self._gone(_close_code(self._ws))

    def _take_in(self, data: bytes) -> int:
        """Take in what was read, or keep it while the bus takes no more of clients; see `_receive`."""
        if self._context.node.congested and not self._muted:
            # Before the next message, not with it: however many clients there are, none finds the bus full.
            self._context.node.pause(self)
        if not self._paused:
            return self._receive(data)
        self._rest += data
        self._waiting = True
        return 0

    def _message(self, kind: Kind, payload: bytes) -> None:
        """Publish one whole message of the client."""
        if self._muted:
            return
        if kind is Kind.TEXT:
            try:
                payload.decode()
            except UnicodeDecodeError:
                self._fail(Disconnect.INVALID_TEXT)
                return
        counters = self._context.counters
        counters.messages_received += 1
        counters.bytes_received += len(payload)
        self._context.node.publish(Message(self.channel, payload, kind, self.id), self)

    def _answer(self, pongs: bytes) -> None:
        """Write pongs, but none for a client that doesn't read: RFC 6455, section 5.5.3, asks for the last only."""
        if self._held is None:
            self._write(pongs)

    def _wait(self) -> None:
        """Read no more until the next turn."""
        self._waiting = True
        if self._transport is not None:
            self._transport.pause_reading()
        self._context.turns.add(self)

    def _send(self) -> None:
        """Write what the protocol wants to say: pongs, close frames, the end of the stream."""
        transport = self._transport
        if transport is None:
            return
        writes = self._ws.data_to_send()
        data = b"".join(writes)
        if data and (self._held is None or self._ws.state is not State.OPEN):
            transport.write(data)
        # else pongs for a client that doesn't read; see `_answer`
        if SEND_EOF in writes and not transport.is_closing() and transport.can_write_eof():
            # Half-close and keep reading: closing with unread data would reset the connection and take the
            # close frame with it.
            transport.write_eof()
        if self._ws.close_expected():
            self._abort_later()

    def _read_on(self) -> None:
        if self.reading and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


def _close_code(ws: ServerProtocol) -> int:
    """Return the code of the close frame that began the closing handshake; 1006 when there was none."""
    first = ws.close_sent if ws.close_rcvd is None or not ws.close_rcvd_then_sent else ws.close_rcvd
    return 1006 if first is None else int(first.code)

"""The way out of a connection: ready-made frames go straight to the transport, or wait while it is full."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable

from relay.clients.context import Context
from relay.errors import CustomDisconnect, Disconnect

HIGH_WATER_BYTES = 64 * 1024
LOW_WATER_BYTES = 16 * 1024


class Outgoing(asyncio.BufferedProtocol, abc.ABC):
    """The half of a connection that writes.

    The transport says when it is full; there is no check per write. What comes then is kept as references
    to the chunks that all slow clients of a channel share, up to the limit per client; beyond it the
    policy for slow consumers decides.

    Args:
        context: what all connections share.
    """

    __slots__ = ("_context", "_held", "_held_bytes", "_transport", "_write")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._transport: asyncio.Transport | None = None
        # The transport's `write`, looked up once; the hub calls it for each delivery.
        self._write: Callable[[bytes], object] = _discard
        # Chunks that wait while the transport is full; None while it isn't.
        self._held: list[bytes] | None = None
        self._held_bytes = 0

    @abc.abstractmethod
    def close(self, disconnect: Disconnect | CustomDisconnect) -> None:
        """Begin the closing handshake."""

    def deliver(self, data: bytes, count: int) -> None:
        """Write messages; see `Subscriber`."""
        held = self._held
        if held is None:
            self._write(data)
            return
        size = len(data)
        if self.buffered + size <= self._context.send_buffer_bytes:
            held.append(data)
            self._held_bytes += size
            return
        counters = self._context.counters
        counters.deliveries -= count
        counters.bytes_delivered -= size
        counters.deliveries_dropped += count
        if not self._context.drop_when_slow:
            self.close(Disconnect.SLOW_CONSUMER)

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""
        return self.stuck + self._held_bytes

    @property
    def stuck(self) -> int:
        """Bytes that the transport could not get rid of; when it stays the same, the client reads nothing."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        """Keep further messages here; called by the transport when it is full."""
        self._held = []
        self._context.stalls.add(self)
        if not self._context.drop_when_slow:
            # One tick's messages can be more than the limit. Not within the write that filled the transport.
            self._context.loop.call_soon(self._close_if_slow)

    def resume_writing(self) -> None:
        """Write what was kept; called by the transport when it has room again."""
        self._context.stalls.discard(self)
        self._release_held()

    def abort(self) -> None:
        """Drop the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def _attach(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        high = min(HIGH_WATER_BYTES, self._context.send_buffer_bytes)
        transport.set_write_buffer_limits(high, min(LOW_WATER_BYTES, high))

    def _detach(self) -> None:
        self._context.stalls.discard(self)
        self._transport = None
        self._write = _discard
        self._held = None

    def _drop_held(self) -> None:
        """Forget what waits, so that a close frame comes right behind what the transport has already."""
        if self._held:
            self._held = []
            self._held_bytes = 0

    def _release_held(self) -> None:
        """Write what waits, whatever the transport holds already."""
        held, self._held, self._held_bytes = self._held, None, 0
        if held:
            self._write(b"".join(held))

    def _close_if_slow(self) -> None:
        if self.buffered > self._context.send_buffer_bytes:
            self.close(Disconnect.SLOW_CONSUMER)


def _discard(data: bytes) -> None:
    """Write nothing: there is no socket yet, or no longer."""

"""A WebSocket with any number of channels: what they bring in one tick goes out in one write."""

from __future__ import annotations

from typing import cast

from relay.clients.context import Context
from relay.clients.introduction import RENEWAL_SECONDS
from relay.clients.session import Session
from relay.clients.websocket import WebSocket
from relay.errors import Disconnect, PublishError
from relay.hub import MAX_BATCH_BYTES
from relay.protocols.multiplexed import MultiplexedProtocol


class MultiplexedWebSocket(WebSocket):
    """A client of several channels.

    Each channel delivers for itself. Ten busy ones would be ten system calls a tick, and these are most of what a
    delivery costs. So chunks are gathered, as references to the bytes that all clients of a channel share, until the
    hub has delivered them all. Clients of one channel have nothing to do with that.
    """

    __slots__ = ("_counts", "_gathered", "_gathered_bytes", "_holding")

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        # Chunks, in order, and the number of messages in each; 0 for an answer.
        self._gathered: list[bytes] = []
        self._counts: list[int] = []
        self._gathered_bytes = 0
        # Whether something has to be written before what is gathered.
        self._holding = False

    def hold_deliveries(self) -> None:
        """Keep back what is delivered from now on; one for which too much waits is slow."""
        self._holding = True

    def release_deliveries(self, first: bytes) -> None:
        """Write something, and behind it what was kept back."""
        self._holding = False
        self._gathered.insert(0, first)
        self._counts.insert(0, 0)
        self.write_gathered()

    def deliver(self, data: bytes, count: int) -> None:
        """Keep messages for the end of the tick; see `Subscriber`."""
        if not self._gathered:
            self._context.node.hub.gather(self)
        self._gathered.append(data)
        self._counts.append(count)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= MAX_BATCH_BYTES:  # as the hub does: the limit per client is for what was written
            self.write_gathered()

    def write_gathered(self) -> None:
        """Write what the tick has brought; see `Gatherer`."""
        if self._holding and self.session.open:
            if self._gathered_bytes > self._context.send_buffer_bytes:
                self.close(Disconnect.SLOW_CONSUMER)
            return
        gathered, counts = self._take_gathered()
        if not self.session.open:  # it was aborted; each other way to leave has written or dropped it
            self._count_dropped(gathered, counts)
            return
        if self._held is None:
            if gathered:
                self._write_together(gathered, counts)
            return
        for position, count in enumerate(counts):
            if not self.session.open:  # one of them had no room
                self._count_dropped(gathered[position:], counts[position:])
                break
            super().deliver(gathered[position], count)

    def refresh(self, expires_at: float | None) -> None:
        """Give it another end, and tell it, so that it renews its right in time; see `Connected`."""
        protocol = cast(MultiplexedProtocol, self.session.protocol)
        later = expires_at
        if expires_at is not None and protocol.introduces_itself:
            later = expires_at + RENEWAL_SECONDS
        super().refresh(later)
        now = self._context.registry.expirations.now()
        protocol.renewed(self.session, None if expires_at is None else max(0.0, expires_at - now))

    def publish_failed(self, error: PublishError) -> None:
        """Stay open: the outcome of each message was told to the protocol; see `Session.publish`.

        Nothing of this client waits for the bus any more, so it can go on, unless others use up what clients may have.
        Not at once, see `Node.writable`.
        """
        if not self._reader.open:
            super().publish_failed(error)
        elif self.paused and not self._context.node.congested:
            self._context.node.forget(self)
            self._context.loop.call_soon(self.resume_publishing)

    def _take_gathered(self) -> tuple[list[bytes], list[int]]:
        gathered, counts = self._gathered, self._counts
        self._gathered, self._counts, self._gathered_bytes = [], [], 0
        return gathered, counts

    def _write_together(self, gathered: list[bytes], counts: list[int]) -> None:
        self._context.counters.chunks_joined += max(0, len(counts) - counts.count(0) - 1)
        self._write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def _release_held(self) -> None:
        """Write everything that waits, so that a close frame comes behind it."""
        super()._release_held()
        gathered, counts = self._take_gathered()
        if gathered:
            self._write_together(gathered, counts)

    def _drop_held(self) -> None:
        """Forget everything that waits, so that a close frame comes at once."""
        super()._drop_held()
        self._count_dropped(*self._take_gathered())

    def _count_dropped(self, gathered: list[bytes], counts: list[int]) -> None:
        counters = self._context.counters
        counters.deliveries_dropped += sum(counts)
        counters.bytes_dropped += sum(len(data) for data, count in zip(gathered, counts, strict=True) if count)

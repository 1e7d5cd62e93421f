"""Clients with any number of channels: what they bring in one tick goes out in one write."""

from __future__ import annotations

import asyncio
from typing import ClassVar, cast

from relay.clients.client import HIGH_WATER_BYTES, Client
from relay.clients.connecting import RENEWAL_SECONDS
from relay.errors import Disconnect
from relay.fan_out.direct_socket import Descriptors, DirectSocket
from relay.hub import MAX_BATCH_BYTES
from relay.protocols.multiplexed import MultiplexedProtocol


class PendingWrites:
    """What a client is to get at the end of the tick.

    Attributes:
        chunks: in order; references to the bytes that all clients of a channel share.
        counts: the number of messages in each chunk; 0 for an answer.
        bytes: in all chunks.
        holding: whether something has to be written before them.
        answering: whether the client has still to take some of a long answer, which was written before them.
    """

    __slots__ = ("answering", "bytes", "chunks", "counts", "holding")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.counts: list[int] = []
        self.bytes = 0
        self.holding = False
        self.answering = False

    def add(self, data: bytes, count: int) -> None:
        """Add a chunk."""
        self.chunks.append(data)
        self.counts.append(count)
        self.bytes += len(data)

    def put_first(self, data: bytes) -> None:
        """Put an answer in front of everything."""
        self.chunks.insert(0, data)
        self.counts.insert(0, 0)
        self.bytes += len(data)

    def take(self) -> tuple[list[bytes], list[int]]:
        """Return chunks and counts, and keep none."""
        chunks, counts = self.chunks, self.counts
        self.chunks, self.counts, self.bytes = [], [], 0
        return chunks, counts


class _MultiplexedSocket(DirectSocket):
    """The way to the socket of a client with pending writes: these come before what others write.

    Args:
        transport: see `DirectSocket`, as for the others.
        descriptor: of the socket.
        descriptors: where its state is kept.
        pending: what waits.
    """

    __slots__ = ("_pending",)

    def __init__(
        self, transport: asyncio.Transport, descriptor: int, descriptors: Descriptors, pending: PendingWrites
    ) -> None:
        self._pending = pending
        super().__init__(transport, descriptor, descriptors)

    def _note(self) -> None:
        if self._pending.chunks or self._pending.holding:
            self.withhold()
        else:
            super()._note()


class MultiplexedClient(Client):
    """The half of a client of several channels that writes to it; the other half is what has its socket.

    Each channel delivers for itself. Ten busy ones would be ten system calls a tick, and these are most of what a
    delivery costs. So chunks are gathered until the hub has delivered them all. Clients of one channel have nothing to
    do with that.

    A subclass has a slot for `_pending`: with one here, it could have no other base with slots.
    """

    __slots__ = ()

    gathers: ClassVar[bool] = True

    _pending: PendingWrites

    def refresh(self, expires_at: float | None) -> None:
        """Give it another end, and tell it, so that it renews its right in time; see `Connected`."""
        protocol = cast(MultiplexedProtocol, self.session.protocol)
        later = expires_at
        if expires_at is not None and protocol.connects_by_message:
            later = expires_at + RENEWAL_SECONDS
        super().refresh(later)
        now = self._context.registry.expirations.now()
        protocol.renewed(self.session, None if expires_at is None else max(0.0, expires_at - now))

    def hold_deliveries(self) -> None:
        """Keep back what is delivered from now on until `reply`; one for which too much waits is slow."""
        # What is pending comes before the answer, which `put_first` would put in front of it: what completes the
        # handshake, answers to earlier requests, messages of this tick.
        self.write_gathered()
        self._pending.holding = True
        self._withhold()

    def reply(self, data: bytes) -> bool:
        """Write the answer to a request, in order with messages, and behind it what was kept back.

        A long one is no slowness while it is on its way: it can be more than a socket takes at once. But of several at
        a time only the first.

        Returns:
            Whether the client has still to take some of what was written. Its protocol is told when it has.
        """
        pending = self._pending
        held_back, pending.holding = pending.holding, False
        if len(data) <= min(HIGH_WATER_BYTES, self._context.send_buffer_bytes):
            if held_back:
                pending.put_first(data)
                self.write_gathered()
            else:
                self.send(data)
        elif held_back:
            self._write_long(data)
            self.write_gathered()
        else:
            self.write_gathered()
            self._write_long(data)
        return self._held is not None

    def close_in_turn(self) -> None:
        """End it, as it lacks messages, when its turn has come."""
        self._context.missed_messages.close(self, Disconnect.MISSED, always=True)

    def deliver(self, data: bytes, count: int) -> None:
        """Keep messages for the end of the tick, if others may come with them; see `Subscriber`."""
        pending, hub = self._pending, self._context.node.hub
        if not pending.chunks:
            if hub.alone and not pending.holding:
                # As `Client.deliver`, which would cost another call: no other channel brings anything in this tick.
                if (held := self._held) is None:
                    self._write(data)
                else:
                    self._hold(held, data, count)
                return
            hub.gather(self)
            self._withhold()
        pending.add(data, count)
        if pending.bytes >= MAX_BATCH_BYTES:  # as the hub does: the limit per client is for what was written
            self.write_gathered()

    def write_gathered(self) -> None:
        """Write what the tick has brought; see `Gatherer`."""
        if self._pending.holding and self.session.open:
            if len(self._pending.chunks) > 1 and self._pending.bytes > self._context.send_buffer_bytes:
                self.close(Disconnect.SLOW_CONSUMER)
            return
        chunks, counts = self._pending.take()
        if not self.session.open:  # it was aborted; each other way to leave has written or dropped it
            self._count_dropped(chunks, counts)
            return
        if self._held is None:
            if chunks:
                self._write_together(chunks, counts)
            return
        for position, count in enumerate(counts):
            if not self.session.open:  # one of them had no room
                self._count_dropped(chunks[position:], counts[position:])
                break
            super().deliver(chunks[position], count)

    def resume_writing(self) -> None:
        """Write what was kept, and let the protocol go on; called by the transport when it has room again."""
        self._pending.answering = False
        super().resume_writing()
        if self._held is None and self.session.open:
            cast(MultiplexedProtocol, self.session.protocol).writable()

    def _share(self, transport: asyncio.Transport, descriptor: int, descriptors: Descriptors) -> DirectSocket:
        return _MultiplexedSocket(transport, descriptor, descriptors, self._pending)

    def _write_long(self, data: bytes) -> None:
        pending = self._pending
        if pending.answering or not self.session.open:
            super().deliver(data, 0)
            return
        self._large = True
        if self._held:
            self._write(self._held.take())
        self._write(data)
        pending.answering = self._large = self._held is not None

    def _write_together(self, chunks: list[bytes], counts: list[int]) -> None:
        self._context.counters.chunks_joined += max(0, len(counts) - counts.count(0) - 1)
        self._write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def _release_held(self) -> None:
        """Write everything that waits, so that the end comes behind it; not what is kept back for an answer."""
        super()._release_held()
        chunks, counts = self._pending.take()
        if self._pending.holding:
            self._count_dropped(chunks, counts)  # the client was never told of these channels
        elif chunks:
            self._write_together(chunks, counts)

    def _drop_held(self) -> None:
        """Forget everything that waits, so that the end comes at once."""
        super()._drop_held()
        self._count_dropped(*self._pending.take())

    def _count_dropped(self, chunks: list[bytes], counts: list[int]) -> None:
        message_bytes = sum(len(data) for data, count in zip(chunks, counts, strict=True) if count)
        self._context.counters.count_dropped("closed", sum(counts), message_bytes)

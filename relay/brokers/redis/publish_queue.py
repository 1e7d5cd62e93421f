"""The messages on their way to Redis, in order, and the share of the publish buffer that each kind of them takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from relay.brokers import Source
from relay.brokers.redis.script_calls import ScriptCall, gather, pack_call
from relay.brokers.shares import Share, limits

HIGH_WATER_BYTES = 1024 * 1024
"""Of the clients' share: beyond it each source is paused with its next message."""

LOW_WATER_BYTES = 32 * 1024
"""Below it paused sources go on; beyond it sources are held back that publish as fast as they can.

What they have on its way is in front of all other messages, and comes back once for each of its receivers: with 256 KiB
of 64 publishers that heard one another, others waited 55 ms. With 32 KiB it is 5, and as much is published.
"""

# Reading a member from its class costs as much as all the rest of `charge`.
_CLIENTS = Share.CLIENTS


class PendingPublish(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A command on its way to Redis: a PUBLISH, a probe or a heartbeat.

    A msgspec struct for the reason that `Message` is one.

    Args:
        source: gets the failure; None for heartbeats and probes, which count for no share.
        size: bytes of the command.
        accepted_at: when the first message of its batch was accepted: `time.monotonic()`, in seconds. Not the event
            loop's time: uvloop's has whole milliseconds only, longer than a Redis nearby takes.
        receipt: called with the outcome; None for clients that get no answer. Without a source it gets the reply as
            it is, errors included.
    """

    source: Source | None
    size: int
    accepted_at: float
    receipt: Callable[[Any], None] | None = None


class PendingScript(PendingPublish, frozen=True, gc=False, eq=False):
    """A message that a script publishes: the next one of the oldest call in `PublishQueue.calls` once it is written."""


class HeldCall(NamedTuple):
    """A message that Redis has not executed, and that is to be written again.

    Args:
        entry, call: of the message.
        why: what its publisher is told if a later message of the same source was executed.
    """

    entry: PendingScript
    call: ScriptCall
    why: str


class PublishQueue:
    """Commands that wait to be written, behind those that wait for their reply.

    Most messages are those of clients that are not answered, and have no receipts. So only messages with a receipt pay
    for counting by share: those of other publishers are counted, and the clients' share is the rest.

    Args:
        buffer_bytes: bound of all commands together; see `relay.brokers.shares`.

    Attributes:
        buffer_bytes: the same.
        pending: all commands, in order; the last `len(unsent)` of them are not written yet.
        unsent: the bytes of these; what scripts publish is packed when it is written, several messages in one call.
        scripts_wait: whether there may be such messages.
        calls: those that were written and have no reply, in order.
        blocked: whether writing has stopped because of held calls; set to False when it goes on.
        size: bytes of all, held ones included.
        of_others: bytes of the messages that don't count for the clients' share.
        client_limit: bytes at which the clients' share is used up.
        high_water, low_water: bytes of it; see `HIGH_WATER_BYTES`, and for small buffers less.
    """

    __slots__ = (
        "_by_share",
        "_held",
        "_limits",
        "blocked",
        "buffer_bytes",
        "calls",
        "client_limit",
        "high_water",
        "low_water",
        "of_others",
        "pending",
        "scripts_wait",
        "size",
        "unsent",
    )

    def __init__(self, buffer_bytes: int) -> None:
        self._limits = limits(buffer_bytes)
        self._by_share = dict.fromkeys(Share, 0)
        self.buffer_bytes = buffer_bytes
        self.client_limit = self._limits[Share.CLIENTS]
        self.high_water = min(HIGH_WATER_BYTES, self.client_limit)
        self.low_water = min(LOW_WATER_BYTES, self.client_limit // 2 + 1)
        self.pending: deque[PendingPublish] = deque()
        self.unsent: list[Any] = []  # of bytes, and of `ScriptCall`s where there are any
        self.scripts_wait = False
        self.calls: deque[list[ScriptCall]] = deque()
        self.blocked = False
        # The oldest first.
        self._held: list[HeldCall] = []
        self.size = 0
        self.of_others = 0

    @property
    def client_bytes(self) -> int:
        """Bytes of the clients' messages."""
        return self.size - self.of_others

    @property
    def by_share(self) -> dict[Share, int]:
        """Bytes of all messages, by share."""
        return {**self._by_share, Share.CLIENTS: self.client_bytes}

    def used_up(self, share: Share) -> bool:
        """Return whether a share takes no more messages."""
        taken = self.client_bytes if share is _CLIENTS else self._by_share[share]
        return taken >= self._limits[share]

    def charge(self, share: Share, size: int) -> None:
        """Count a message with a receipt for its share; a negative size when it is settled. Leaves `size` alone."""
        if share is not _CLIENTS:
            self._by_share[share] += size
            self.of_others += size

    def put_back(self, entry: PendingPublish) -> None:
        """Take back the oldest command, which was taken out of `pending`; its bytes count on in `size`."""
        self.pending.appendleft(entry)
        if entry.source is not None and entry.receipt is not None:
            self.charge(entry.source.share, entry.size)

    @property
    def holding(self) -> bool:
        """Whether calls are held: nothing may be written then, as it would overtake them."""
        return bool(self._held)

    def take_unsent(self, middle: bytes, merges: bool) -> bytes:
        """Return the bytes of what waits to be written, which is written then.

        Args:
            middle: see `relay.brokers.redis.script_calls.pack_primary`.
            merges: see `relay.brokers.redis.script_calls.gather`.
        """
        packed = []
        for command in gather(self.unsent, merges):
            if isinstance(command, list):
                self.calls.append(command)
                packed.append(pack_call(command, middle))
            else:
                packed.append(command)
        self.unsent.clear()
        self.scripts_wait = False
        return b"".join(packed)

    def hold(self, entry: PendingScript, call: ScriptCall, why: str) -> None:
        """Hold a call, which was taken out of `pending` and `calls`; its bytes count on in `size`. See `HeldCall`."""
        self._held.append(HeldCall(entry, call, why))
        self.blocked = True
        if entry.source is not None and entry.receipt is not None:
            self.charge(entry.source.share, entry.size)

    def release(self) -> None:
        """Let the held calls wait to be written again, before all others."""
        self.pending.extendleft(held.entry for held in reversed(self._held))
        self.unsent[:0] = [held.call for held in self._held]
        self._held.clear()
        self.scripts_wait = True

    def take_overtaken(self, source: Source) -> list[HeldCall]:
        """Remove and return the held calls of a source, of which a later one was executed."""
        overtaken = [held for held in self._held if held.entry.source is source]
        self._held = [held for held in self._held if held.entry.source is not source]
        self._discount([held.entry for held in overtaken])
        return overtaken

    def take_unanswered(self) -> list[PendingPublish]:
        """Remove and return the commands that were written and have no reply, and those that are held."""
        pending = self.pending
        pending.extendleft(held.entry for held in reversed(self._held))
        self._held.clear()
        self.calls.clear()
        taken = [pending.popleft() for _ in range(len(pending) - len(self.unsent))]
        self._discount(taken)
        return taken

    def waiting(self) -> list[PendingPublish]:
        """Return the commands that are not written yet."""
        return list(islice(self.pending, len(self.pending) - len(self.unsent), None))

    def drop(self, sources: Collection[Source | None]) -> list[PendingPublish]:
        """Remove and return the commands of some sources that are not written yet, or are to be written again."""
        waiting = self.waiting()
        dropped = [entry for entry in waiting if entry.source in sources]
        if dropped:
            kept = [pair for pair in zip(waiting, self.unsent, strict=True) if pair[0].source not in sources]
            for _ in waiting:
                self.pending.pop()
            self.pending.extend(entry for entry, _command in kept)
            self.unsent[:] = [command for _entry, command in kept]
        if self._held:
            dropped = [*(held.entry for held in self._held if held.entry.source in sources), *dropped]
            self._held = [held for held in self._held if held.entry.source not in sources]
        self._discount(dropped)
        return dropped

    def sources(self) -> set[Source]:
        """Return the sources of all messages here."""
        held = (held.entry for held in self._held)
        return {entry.source for entry in (*held, *self.pending) if entry.source is not None}

    def _discount(self, gone: Sequence[PendingPublish]) -> None:
        for entry in gone:
            self.size -= entry.size
            if entry.receipt is not None and entry.source is not None:
                self.charge(entry.source.share, -entry.size)

"""The link on which a gateway publishes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, NamedTuple

from relay.brokers import Receipt, Source
from relay.brokers.redis.address import Address
from relay.brokers.redis.link import Link, Replies, pack
from relay.brokers.redis.server import REPLICAS, role_of
from relay.brokers.redis.supervised import PING, SupervisedLink
from relay.counters import Counters
from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishError, PublishRefused
from relay.logs import Logger

HIGH_WATER_BYTES = 1024 * 1024
LOW_WATER_BYTES = 256 * 1024

PROBE_BYTES = 1024
"""More than a probe takes."""

REPORT_REFUSAL_SECONDS = 10.0
"""How often refusals are logged: Redis may refuse everything that strangers send."""

HELLO = pack("HELLO")

log = Logger("relay.bus")


class Publication(NamedTuple):
    """A message on its way to Redis.

    Args:
        source: who is told when it fails; None for questions and probes, which count for nobody.
        size: bytes of its command.
        accepted_at: when the first message of its batch was accepted: `time.monotonic()`, in seconds. uvloop's
            own time has whole milliseconds only, longer than a Redis nearby takes.
        receipt: called when Redis has answered; None when nobody asks. Without a source it gets the reply as it is,
            a refusal, too.
    """

    source: Source | None
    size: int
    accepted_at: float
    receipt: Callable[[Any], None] | None = None


class Publications(SupervisedLink):
    """Everything that a gateway publishes, in order, on one link.

    A message waits here until the link is open and `gate` lets it pass; all that came in one tick goes out in
    one write. It is written once: if the link breaks before the answer, its source is told that its delivery
    is unknown. One that couldn't be written within `publish_timeout` seconds fails with `BusUnavailable`. These
    failures drop everything of their source that still waits, so no later message overtakes a lost one.

    Args:
        address, timeout, interval, counters: see `SupervisedLink`.
        gate: whether messages may go out now; call `update` when it has changed.
        writable: called when sources that were told to pause may go on.
        demoted: called when the Redis at the other end has become a replica; the link must be dropped then.
        publish_timeout: seconds.
        buffer_bytes: bound of all that waits for Redis or for its answer.

    Attributes:
        passing: whether a message that is published now goes out at the end of the tick.
    """

    def __init__(
        self,
        address: Address,
        timeout: float,
        interval: float,
        counters: Counters,
        *,
        gate: Callable[[], bool],
        writable: Callable[[], None],
        demoted: Callable[[], None],
        publish_timeout: float,
        buffer_bytes: int,
    ) -> None:
        super().__init__(address, "publications", timeout, interval, counters)
        self._loop = asyncio.get_running_loop()
        self._gate = gate
        self._on_writable = writable
        self._on_demoted = demoted
        self._publish_timeout = publish_timeout
        self._buffer_bytes = buffer_bytes
        # All that is on its way, in order; the last `len(_unsent)` of them are not written yet.
        self._on_the_way: deque[Publication] = deque()
        self._unsent: list[bytes] = []
        self._bytes = 0
        self._paused = False
        self._flush_scheduled = False
        self._batch_began_at = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._report_refusal_at = 0.0
        self.passing = False

    @property
    def full(self) -> bool:
        """Whether there is hardly room for one more message."""
        return self._bytes + PROBE_BYTES > self._buffer_bytes

    @property
    def buffered(self) -> int:
        """Bytes that wait for Redis or for its answer."""
        return self._bytes

    def publish(
        self, command: bytes, source: Source | None, receipt: Receipt | Callable[[Any], None] | None = None
    ) -> bool:
        """Accept a packed PUBLISH; see `Broker.publish`. A probe has no source."""
        size = len(command)
        if self._bytes + size > self._buffer_bytes:
            # What was accepted before still goes out: looking for it in a full queue, for each of many sources,
            # would stall everybody.
            self._paused = True
            if source is not None:
                error = PublishBufferFull(f"{self._bytes} bytes wait for the bus")
                self._counters.publish_failures[error.disconnect.name] += 1
                source.publish_failed(error)
            return False
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._batch_began_at = time.monotonic()
            self._loop.call_soon(self._flush)
        self._on_the_way.append(Publication(source, size, self._batch_began_at, receipt))
        self._unsent.append(command)
        self._bytes += size
        if self.passing and self._bytes < HIGH_WATER_BYTES:
            return True
        self._paused = True
        return False

    def update(self) -> None:
        """Look again whether messages may pass, and go on if they may."""
        self.passing = self.open and self._gate() and self.link is not None and self.link.writable
        if self.passing:
            self._flush()
            self._resume()

    async def drain(self) -> None:
        """Wait until nothing waits for Redis or for its answer."""
        if self._bytes:
            self._drained = self._loop.create_future()
            await self._drained

    async def stop(self) -> None:
        """Disconnect; what still waits has failed."""
        await super().stop()
        if self._deadline is not None:
            self._deadline.cancel()
        self._fail({publication.source for publication in self._on_the_way}, BusUnavailable("the gateway ends"), 0)

    async def opened(self, link: Link) -> None:
        """Go on with what waits, once `open` is true."""
        self._loop.call_soon(self.update)

    def lost(self, reason: str) -> None:
        """Tell the sources of unanswered messages that their delivery is unknown."""
        self.passing = False
        unanswered = [self._on_the_way.popleft() for _ in range(len(self._on_the_way) - len(self._unsent))]
        self._bytes -= sum(publication.size for publication in unanswered)
        sources = [publication.source for publication in unanswered if publication.source is not None]
        if sources:
            log.warning("deliveries unknown", messages=len(sources), sources=len(set(sources)), reason=reason)
            self._fail(set(sources), DeliveryUnknown(reason), len(sources))
        self._arm_deadline()
        self._resume()

    def link_writable(self, writable: bool) -> None:
        """Hold back while the socket is full."""
        self.update()

    def ask(self, link: Link) -> None:
        """Ask who is there, and keep the place of the reply among those of the messages."""
        question = PING if link.server.role is None else HELLO
        link.write(question)
        entry = Publication(None, 0, time.monotonic(), self._told)
        self._on_the_way.insert(len(self._on_the_way) - len(self._unsent), entry)

    def _told(self, reply: Any) -> None:
        """Take the answer; a replica's is none: what it has acknowledged since the last one may have reached nobody."""
        if role_of(reply) in REPLICAS:
            self._on_demoted()
        else:
            self.questions.answered("PING or HELLO", reply)

    def replies_received(self, replies: Replies) -> None:
        """Settle the oldest unanswered message with each reply."""
        now = time.monotonic()
        on_the_way = self._on_the_way
        latency = self._counters.publish_latency
        published, settled = 0, 0
        batch, batch_began_at = 0, 0.0
        refused: list[Source] = []
        error = ""
        while (reply := replies()) is not False:
            if len(on_the_way) <= len(self._unsent):
                self.abort(f"unexpected reply: {reply!r:.200}")
                return
            source, size, accepted_at, receipt = on_the_way.popleft()
            settled += size
            if source is None:
                if receipt is not None:
                    receipt(reply)
                continue
            if type(reply) is int:  # how many gateways heard it
                if accepted_at != batch_began_at:
                    # Once for all messages of a tick.
                    if batch:
                        latency.observe(now - batch_began_at, batch)
                    published += batch
                    batch, batch_began_at = 0, accepted_at
                batch += 1
                if receipt is not None:
                    receipt(reply)
            else:
                refused.append(source)
                error = str(reply)
        if batch:
            latency.observe(now - batch_began_at, batch)
        published += batch
        self._bytes -= settled
        if refused:
            # All of a chunk at once: one by one, each would look through all that waits.
            self._counters.bus_errors += len(refused)
            self._fail(set(refused), PublishRefused(error), len(refused))
            if now >= self._report_refusal_at:
                self._report_refusal_at = now + REPORT_REFUSAL_SECONDS
                log.error("publish refused", messages=len(refused), error=error)
        self._counters.messages_published += published
        self._resume()

    def _flush(self) -> None:
        """Write everything that waits, if it may go out now."""
        self._flush_scheduled = False
        unsent = self._unsent
        if not unsent:
            return
        if not self.passing or self.link is None:
            self._arm_deadline()
            return
        self.link.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        unsent.clear()

    def _resume(self) -> None:
        """Let sources that were told to pause go on, if there is room; end the drain when nothing is left."""
        if self._paused and self.passing and self._bytes < LOW_WATER_BYTES:
            self._paused = False
            self._on_writable()
        if self._drained is not None and not self._bytes and not self._drained.done():
            self._drained.set_result(None)

    def _arm_deadline(self) -> None:
        if self._deadline is None and self._unsent:
            oldest = self._on_the_way[-len(self._unsent)]
            left = oldest.accepted_at + self._publish_timeout - time.monotonic()
            self._deadline = self._loop.call_later(max(0.0, left), self._expire)

    def _expire(self) -> None:
        """Fail the messages that have waited too long."""
        self._deadline = None
        limit = time.monotonic() - self._publish_timeout
        late = [publication for publication in self._waiting() if publication.accepted_at <= limit]
        if late:
            sources = {publication.source for publication in late}
            log.warning("publish timeout", messages=len(late), sources=len(sources), problem=self.problem)
            self._fail(sources, BusUnavailable(f"waited for {self._publish_timeout:g} s"), 0)
        self._arm_deadline()
        self._resume()

    def _waiting(self) -> list[Publication]:
        """Return what is not written yet."""
        return list(islice(self._on_the_way, len(self._on_the_way) - len(self._unsent), None))

    def _fail(self, sources: Collection[Source | None], error: PublishError, count: int) -> None:
        """Tell sources, and drop what of theirs still waits; `count` messages are gone already."""
        waiting = self._waiting()
        kept = [entry for entry in zip(waiting, self._unsent, strict=True) if entry[0].source not in sources]
        if len(kept) < len(waiting):
            self._bytes -= sum(publication.size for publication in waiting if publication.source in sources)
            for _ in waiting:
                self._on_the_way.pop()
            self._on_the_way.extend(publication for publication, _command in kept)
            self._unsent[:] = [command for _publication, command in kept]
            count += sum(publication.source is not None for publication in waiting)
            count -= sum(publication.source is not None for publication, _command in kept)
        if count:
            self._counters.publish_failures[error.disconnect.name] += count
        for source in sources:
            if source is not None:
                source.publish_failed(error)

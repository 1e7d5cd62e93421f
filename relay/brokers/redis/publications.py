"""The link on which a gateway publishes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import hiredis
import structlog

from relay.brokers import Source
from relay.brokers.redis.address import Address
from relay.brokers.redis.link import Link, Replies, pack
from relay.brokers.redis.supervised import PING, SupervisedLink
from relay.counters import Counters
from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishError, PublishRefused

HIGH_WATER_BYTES = 1024 * 1024
LOW_WATER_BYTES = 256 * 1024

log = structlog.get_logger("relay.bus")


class _Publish:
    """One command that waits for Redis, or for its answer. `source` None: a PING, which nobody waits for."""

    __slots__ = ("accepted_at", "command", "size", "source")

    def __init__(self, command: bytes, source: Source | None, accepted_at: float) -> None:
        self.command = command
        self.size = len(command)
        self.source = source
        self.accepted_at = accepted_at


class Publications(SupervisedLink):
    """Everything that a gateway publishes, in order, on one link.

    A message waits here until the link is open and `gate` lets it pass; all that came in one tick goes out in
    one write. It is written once: if the link breaks before the answer, its source is told that its delivery
    is unknown. One that couldn't be written within `publish_timeout` seconds fails with `BusUnavailable`. These
    failures drop everything of their source that still waits, so no later message overtakes a lost one.

    Args:
        address, timeout, interval, counters: see `SupervisedLink`.
        gate: whether messages may go out now; when it opens, call `flush`.
        writable: called when sources that were told to pause may go on.
        publish_timeout: seconds.
        buffer_bytes: bound of all that waits for Redis or for its answer.
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
        publish_timeout: float,
        buffer_bytes: int,
    ) -> None:
        super().__init__(address, "publications", timeout, interval, counters)
        self._loop = asyncio.get_running_loop()
        self._gate = gate
        self._on_writable = writable
        self._publish_timeout = publish_timeout
        self._buffer_bytes = buffer_bytes
        self._waiting: deque[_Publish] = deque()
        self._in_flight: deque[_Publish] = deque()
        self._bytes = 0
        self._paused = False
        self._flush_scheduled = False
        self._deadline: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None

    @property
    def passing(self) -> bool:
        """Whether a message that is published now goes out at the end of the tick."""
        return self.open and self._gate() and self.link is not None and self.link.writable

    async def drain(self) -> None:
        """Wait until nothing waits for Redis or for its answer."""
        if self._bytes:
            self._drained = self._loop.create_future()
            await self._drained

    def publish(self, channel: bytes, payload: bytes, source: Source) -> bool:
        """Accept a message; see `Broker.publish`."""
        command = pack(b"PUBLISH", channel, payload)
        if self._bytes + len(command) > self._buffer_bytes:
            # What was accepted before still goes out: looking for it in a full queue, for each of many sources,
            # would stall everybody.
            self._paused = True
            error = PublishBufferFull(f"{self._bytes} bytes wait for the bus")
            self._counters.publish_failures[error.disconnect.name] += 1
            source.publish_failed(error)
            return False
        self._waiting.append(_Publish(command, source, self._loop.time()))
        self._bytes += len(command)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self.flush)
        if self._bytes < HIGH_WATER_BYTES and self.passing:
            return True
        self._paused = True
        return False

    async def stop(self) -> None:
        """Disconnect; what still waits has failed."""
        await super().stop()
        if self._deadline is not None:
            self._deadline.cancel()
        sources = {publish.source for publish in self._waiting if publish.source is not None}
        if sources:
            self._fail(sources, BusUnavailable("the gateway ends"), 0)

    def flush(self) -> None:
        """Write everything that waits, if it may go out now."""
        self._flush_scheduled = False
        if not self._waiting:
            return
        if not self.passing or self.link is None:
            self._arm_deadline()
            return
        waiting, self._waiting = self._waiting, deque()
        self.link.write(b"".join([publish.command for publish in waiting]))
        for publish in waiting:
            publish.command = b""  # it is never sent again
        self._in_flight.extend(waiting)
        self.resume()

    async def opened(self, link: Link) -> None:
        """Go on with what waits, once `open` is true."""
        self._loop.call_soon(self.flush)
        self._loop.call_soon(self.resume)

    def lost(self, reason: str) -> None:
        """Tell the sources of unanswered messages that their delivery is unknown."""
        in_flight, self._in_flight = self._in_flight, deque()
        self._bytes -= sum(publish.size for publish in in_flight)
        sources = {publish.source for publish in in_flight if publish.source is not None}
        if sources:
            count = sum(publish.source is not None for publish in in_flight)
            log.warning("deliveries unknown", messages=count, sources=len(sources), reason=reason)
            self._fail(sources, DeliveryUnknown(reason), count)
        self._arm_deadline()
        self.resume()

    def link_writable(self) -> None:
        """Go on after the socket was full."""
        self.flush()

    def ping(self, link: Link) -> None:
        """Write a PING, and keep the place of its reply among those of the messages."""
        link.write(PING)
        self._in_flight.append(_Publish(b"", None, self._loop.time()))

    def replies_received(self, replies: Replies) -> None:
        """Settle the oldest unanswered message with each reply."""
        now = self._loop.time()
        in_flight = self._in_flight
        counters = self._counters
        while (reply := replies()) is not False:
            if not in_flight:
                self.abort(f"unexpected reply: {reply!r:.200}")
                return
            publish = in_flight.popleft()
            self._bytes -= publish.size
            if publish.source is None:
                continue
            if isinstance(reply, hiredis.ReplyError):
                counters.bus_errors += 1
                log.error("publish refused", error=str(reply))
                self._fail({publish.source}, PublishRefused(str(reply)), 1)
            else:
                counters.messages_published += 1
                counters.publish_seconds += now - publish.accepted_at
        self.resume()

    def resume(self) -> None:
        """Let sources that were told to pause go on, if there is room."""
        if not self._bytes and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._paused and self._bytes < LOW_WATER_BYTES and self.passing:
            self._paused = False
            self._on_writable()

    def _arm_deadline(self) -> None:
        if self._deadline is None and self._waiting:
            due = self._waiting[0].accepted_at + self._publish_timeout
            self._deadline = self._loop.call_at(due, self._expire)

    def _expire(self) -> None:
        """Fail the messages that have waited too long."""
        self._deadline = None
        limit = self._loop.time() - self._publish_timeout
        late = [publish for publish in self._waiting if publish.accepted_at <= limit]
        sources = {publish.source for publish in late if publish.source is not None}
        if sources:
            log.warning("publish timeout", messages=len(late), sources=len(sources), problem=self.problem)
            self._fail(sources, BusUnavailable(f"waited for {self._publish_timeout:g} s"), 0)
        self._arm_deadline()
        self.resume()

    def _fail(self, sources: set[Source], error: PublishError, count: int) -> None:
        """Tell sources, and drop what of theirs still waits; `count` messages are gone already."""
        kept = deque(publish for publish in self._waiting if publish.source not in sources)
        self._bytes -= sum(publish.size for publish in self._waiting if publish.source in sources)
        self._counters.publish_failures[error.disconnect.name] += count + len(self._waiting) - len(kept)
        self._waiting = kept
        for source in sources:
            source.publish_failed(error)

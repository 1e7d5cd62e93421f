"""The bus of a single gateway: messages go from its publishers straight to its own hub."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from relay.brokers import Broker, BrokerOptions, BusState, Published, Receipt, Sink, Source
from relay.brokers.block_store import MAX_BLOCKED, UNBLOCKED_SECONDS, Blocks, BlockStore, TooManyBlocked
from relay.brokers.history import HistoryStore
from relay.brokers.memory_history import MemoryHistoryStore
from relay.brokers.memory_presence import MemoryPresenceStore
from relay.brokers.presence import PresenceStore
from relay.message import Message
from relay.metrics.counters import Counters


class MemoryBroker(Broker):
    """A bus within one process. It is never away, so no message is ever buffered or lost in it."""

    def __init__(self, options: BrokerOptions, sink: Sink, counters: Counters) -> None:
        self._sink = sink
        self._counters = counters
        self._channels: set[str] = set()
        self._block_store = MemoryBlockStore()
        self._options = options.namespaces.options
        self._history = MemoryHistoryStore(options.namespaces)
        self._presence = MemoryPresenceStore(options.namespaces, self._tell)

    async def start(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def drain(self) -> None:
        """Do nothing: no message waits."""

    async def stop(self) -> None:
        """Do nothing: there is nothing to disconnect from."""

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """Subscribe at once."""
        self._channels.add(channel)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe at once."""
        self._channels.discard(channel)

    def publish(
        self, message: Message, source: Source, receipt: Receipt | None = None, idempotency_key: str | None = None
    ) -> bool:
        """Hand the message to the node; the order of calls is the order of the bus."""
        published = None if idempotency_key is None else self._history.find(message.channel, idempotency_key)
        if published is None:
            published = self._deliver(message)
            if idempotency_key is not None:
                self._history.remember(message.channel, idempotency_key, published)
        else:
            self._counters.messages_repeated += 1
        if receipt is not None:
            receipt(published)
        return True

    def _tell(self, message: Message) -> None:
        """Hand the node a message of one of the relay's own channels, as the bus itself publishes them."""
        if message.channel in self._channels:
            self._sink.receive(message)

    def _deliver(self, message: Message) -> Published:
        self._counters.messages_published += 1
        heard = message.channel in self._channels
        options = self._options(message.channel)
        if not options.positioned:
            if heard:
                self._sink.receive(message)
            return Published(int(heard))
        positioned = self._history.append(message, options)
        if heard:
            self._sink.receive_positioned(positioned)
        return Published(int(heard), positioned.position)

    @property
    def counts_all_receivers(self) -> bool:
        """True: there is one gateway."""
        return True

    @property
    def congested(self) -> bool:
        """False: no message waits."""
        return False

    def hold_back(self) -> bool:
        """Return False: no message waits."""
        return False

    def unsettled(self) -> set[Source]:
        """Return an empty set: no message waits."""
        return set()

    @property
    def block_store(self) -> BlockStore:
        """Within this process: blocks end with it."""
        return self._block_store

    @property
    def history(self) -> HistoryStore:
        """Within this process: histories end with it."""
        return self._history

    @property
    def presence(self) -> PresenceStore:
        """Within this process: it ends with it."""
        return self._presence

    @property
    def problems(self) -> list[str]:
        """Always empty."""
        return []

    @property
    def state(self) -> BusState:
        """The number of subscriptions; there are no links, and no message waits."""
        return BusState(links={}, subscriptions=len(self._channels), buffered={})


class MemoryBlockStore(BlockStore):
    """The blocked users of a single gateway; see `relay.brokers.redis.block_store` for the numbers."""

    shared = False

    def __init__(self) -> None:
        self._scores: dict[str, float] = {}

    async def block(self, user: str, until: float, now: float) -> None:
        """See `BlockStore.block`."""
        self._scores = {user: score for user, score in self._scores.items() if abs(score) > now}
        if user not in self._scores and len(self._scores) >= MAX_BLOCKED:
            raise TooManyBlocked
        self._scores[user] = until

    async def unblock(self, user: str, now: float) -> None:
        """See `BlockStore.unblock`."""
        if user in self._scores:
            self._scores[user] = -(now + UNBLOCKED_SECONDS)

    async def restore(self, blocked: Mapping[str, float], now: float) -> None:
        """See `BlockStore.restore`; nothing is ever lost."""
        self._scores = {**blocked, **self._scores}

    async def read(self, now: float) -> Blocks:
        """See `BlockStore.read`."""
        scores = self._scores.items()
        return Blocks(
            {user: score for user, score in scores if score > now},
            frozenset(user for user, score in scores if score < -now),
        )

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def check_url(url: str) -> None:
    """Refuse a URL that says more than `memory://`; see `relay.brokers.schemes.Scheme`."""
    if url != "memory://":
        raise ValueError("memory:// takes nothing more")


def describe(url: str) -> str:
    """Return the kind of bus: it is nowhere else."""
    return "memory://"


broker_class = MemoryBroker

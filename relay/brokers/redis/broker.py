"""Redis as the bus: its shards added up to one broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache

from relay.brokers import Broker, BrokerOptions, BusState, Receipt, Sink, Source
from relay.brokers.block_store import BlockStore
from relay.brokers.envelope import seal
from relay.brokers.history import HistoryStore
from relay.brokers.presence import PresenceStore
from relay.brokers.redis.address import fixed, parse_address
from relay.brokers.redis.block_store import RedisBlockStore
from relay.brokers.redis.history import RedisHistoryStore
from relay.brokers.redis.presence import RedisPresenceStore
from relay.brokers.redis.script_calls import BULK, ScriptCall, ScriptedChannel
from relay.brokers.redis.shard import Shard
from relay.brokers.shares import Share
from relay.logs import Logger
from relay.message import Message
from relay.metrics.counters import Counters

CACHED_CHANNELS = 4096

Publish = Callable[[bytes, Source, Receipt | None, ScriptCall | None], bool]
"""See `Publications.publish`."""

log = Logger("relay.bus")


class RedisBroker(Broker):
    """A bus over Redis pub/sub, one Redis channel per relay channel.

    It chooses the shard of a channel; everything else is done by the shards. Today there is one.
    """

    def __init__(self, options: BrokerOptions, sink: Sink, counters: Counters) -> None:
        self._prefix = options.prefix
        self._address = parse_address(options.url, options.ca_file)
        self.shards: tuple[Shard, ...] = (Shard(fixed(self._address), options, sink, counters),)
        self._block_store = RedisBlockStore(self._address, options.prefix, options.timeout)
        self._history = RedisHistoryStore(
            self._address,
            options.prefix,
            options.timeout,
            options.namespaces,
            counters,
            lambda: self.shards[0].servers,
        )
        self._presence = RedisPresenceStore(
            self._address,
            options.prefix,
            options.timeout,
            options.presence_ttl,
            options.namespaces,
            counters,
            lambda: self.shards[0].servers,
        )
        self._options = options.namespaces.options
        # The choice of the shard costs a publisher nothing: it is kept with what the command begins with.
        self._route = lru_cache(maxsize=CACHED_CHANNELS)(self._find_route)
        self._scripted = lru_cache(maxsize=CACHED_CHANNELS)(self._find_scripted)

    async def start(self) -> None:
        """Begin to connect and to probe.

        A database number is warned of, as it separates nothing. It isn't refused: Redis URLs that a platform hands out
        may have one.
        """
        if self._address.db:
            log.warning(
                "the database number does not separate deployments",
                reason="pub/sub is the same in all databases of a Redis",
                database=self._address.db,
                separate_with="RELAY_BROKER_PREFIX",
                prefix=self._prefix,
            )
        for shard in self.shards:
            await shard.start()

    async def drain(self) -> None:
        """See `Broker.drain`."""
        await asyncio.gather(*[shard.drain() for shard in self.shards])

    async def stop(self) -> None:
        """See `Broker.stop`."""
        for shard in self.shards:
            await shard.stop()
        await self._block_store.close()
        await self._history.close()
        await self._presence.close()

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """See `Broker.subscribe`."""
        return self._shard_of(channel).subscriptions.subscribe(channel)

    def unsubscribe(self, channel: str) -> None:
        """See `Broker.unsubscribe`."""
        self._shard_of(channel).subscriptions.unsubscribe(channel)

    def publish(
        self, message: Message, source: Source, receipt: Receipt | None = None, idempotency_key: str | None = None
    ) -> bool:
        """See `Broker.publish`."""
        envelope = seal(message)
        publish, template, head = self._route(message.channel)
        if idempotency_key is not None:
            tail = BULK % (len(envelope), envelope)
            return publish(tail, source, receipt, self._scripted(message.channel).call(tail, idempotency_key))
        command = template % (len(envelope), envelope)
        return publish(command, source, receipt, None if head is None else (head, command))

    @property
    def counts_all_receivers(self) -> bool:
        """True with one shard: all gateways are connected to its Redis."""
        return len(self.shards) == 1

    @property
    def congested(self) -> bool:
        """See `Broker.congested`."""
        return any(shard.publications.congested for shard in self.shards)

    def hold_back(self) -> bool:
        """See `Broker.hold_back`."""
        return any(shard.publications.hold_back() for shard in self.shards)

    def unsettled(self) -> set[Source]:
        """See `Broker.unsettled`."""
        return {source for shard in self.shards for source in shard.publications.unsettled()}

    @property
    def block_store(self) -> BlockStore:
        """See `Broker.block_store`."""
        return self._block_store

    @property
    def history(self) -> HistoryStore:
        """See `Broker.history`."""
        return self._history

    @property
    def presence(self) -> PresenceStore:
        """See `Broker.presence`."""
        return self._presence

    @property
    def problems(self) -> list[str]:
        """See `Broker.problems`."""
        return [problem for shard in self.shards for problem in shard.problems]

    @property
    def state(self) -> BusState:
        """See `Broker.state`. A link is up when it is up in all shards."""
        states = [shard.state for shard in self.shards]
        return BusState(
            links={name: all(state.links[name] for state in states) for name in states[0].links},
            subscriptions=sum(state.subscriptions for state in states),
            buffered={share: sum(state.buffered[share] for state in states) for share in Share},
            server=",".join(state.server for state in states if state.server) or None,
        )

    def _shard_of(self, channel: str) -> Shard:
        """Return the shard that carries a channel. Only subscriptions and the first message of a channel ask."""
        return self.shards[0]

    def _find_route(self, channel: str) -> tuple[Publish, bytes, bytes | None]:
        """Return the method to publish with, what to complete with the payload, and what comes before in a call."""
        shard = self._shard_of(channel)
        if self._options(channel).positioned:
            return shard.publications.publish, BULK, self._scripted(channel).head
        return shard.publications.publish, shard.publish_template(channel), None

    def _find_scripted(self, channel: str) -> ScriptedChannel:
        return self._shard_of(channel).scripted(channel)


broker_class = RedisBroker

"""The bus of a single gateway: messages go from its publishers straight to its own hub."""

from __future__ import annotations

import asyncio

from relay.brokers import Broker, BrokerOptions, BusState, Published, Receipt, Sink, Source
from relay.message import Message
from relay.metrics.counters import Counters


class MemoryBroker(Broker):
    """A bus within one process. It is never away, so no message is ever buffered or lost in it."""

    def __init__(self, options: BrokerOptions, sink: Sink, counters: Counters) -> None:
        self._sink = sink
        self._counters = counters
        self._channels: set[str] = set()

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

    def publish(self, message: Message, source: Source, receipt: Receipt | None = None) -> bool:
        """Hand the message to the node; the order of calls is the order of the bus."""
        self._counters.messages_published += 1
        heard = message.channel in self._channels
        if heard:
            self._sink.receive(message)
        if receipt is not None:
            receipt(Published(int(heard)))
        return True

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
    def problems(self) -> list[str]:
        """Always empty."""
        return []

    @property
    def state(self) -> BusState:
        """The number of subscriptions; there are no links, and no message waits."""
        return BusState(links={}, subscriptions=len(self._channels), buffered={})


def check_url(url: str) -> None:
    """Refuse a URL that says more than `memory://`; see `relay.brokers.schemes.Scheme`."""
    if url != "memory://":
        raise ValueError("memory:// takes nothing more")


def describe(url: str) -> str:
    """Return the kind of bus: it is nowhere else."""
    return "memory://"


broker_class = MemoryBroker

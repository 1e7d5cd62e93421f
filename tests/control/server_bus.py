"""A bus of several servers within one process: each counts only the gateways that are connected to it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest

from relay import node as node_module
from relay.brokers import BrokerOptions, Published, Receipt, Sink, Source
from relay.brokers.memory import MemoryBroker
from relay.clients.emulated_streams import EmulatedStreams
from relay.control import Control
from relay.control.client_commands import Client
from relay.message import Message
from relay.metrics.counters import Counters
from relay.node import Node


class ServerBus:
    """The bus, with one gateway connected to each server.

    Attributes:
        brokers: those of the gateways that are connected.
        published: all messages, in their order.
    """

    def __init__(self) -> None:
        self.brokers: list[ServerBroker] = []
        self.published: list[Message] = []


class ServerBroker(MemoryBroker):
    """The broker of one gateway."""

    def __init__(self, bus: ServerBus, options: BrokerOptions, sink: Sink, counters: Counters) -> None:
        super().__init__(options, sink, counters)
        self.sink = sink
        self.subscribed: set[str] = set()
        self._bus = bus
        bus.brokers.append(self)

    @property
    def counts_all_receivers(self) -> bool:
        return False

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        self.subscribed.add(channel)
        return super().subscribe(channel)

    def publish(
        self, message: Message, source: Source, receipt: Receipt | None = None, idempotency_key: str | None = None
    ) -> bool:
        self._bus.published.append(message)
        loop = asyncio.get_running_loop()
        if receipt is not None:
            loop.call_soon(receipt, Published(int(self in self._bus.brokers and message.channel in self.subscribed)))
        for broker in self._bus.brokers:
            if message.channel in broker.subscribed:
                loop.call_soon(broker.sink.receive, message)
        return True


class Gateway:
    """What control needs of a gateway.

    Args:
        bus: to which it is connected.
        name: of the gateway.
        announce_seconds: between two of its announcements.
        clients: of the gateway.
    """

    def __init__(self, bus: ServerBus, name: str, *, announce_seconds: float, clients: Collection[Client] = ()) -> None:
        self.name = name
        self.counters = Counters()
        with _load_brokers_of(bus):
            self.node = Node(BrokerOptions("memory://"), self.counters)
        self.control = Control(
            self.node, clients, EmulatedStreams().take_in, survey_seconds=0.2, announce_seconds=announce_seconds
        )
        self.control.start(name)
        self._bus = bus
        self._broker = bus.brokers[-1]

    def kill(self) -> None:
        """Leave the bus without a word."""
        self._bus.brokers.remove(self._broker)
        self.control.stop()


@contextmanager
def _load_brokers_of(bus: ServerBus) -> Iterator[None]:
    def load(options: BrokerOptions, sink: Sink, counters: Counters) -> ServerBroker:
        return ServerBroker(bus, options, sink, counters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "load_broker", load)
        yield

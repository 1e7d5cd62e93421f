"""A node on a memory broker that notes what it is asked, and clients of it."""

from __future__ import annotations

import asyncio

from relay.brokers import BrokerOptions, Receipt, Source
from relay.brokers.memory import MemoryBroker
from relay.brokers.shares import Share
from relay.errors import PublishError
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.node import Node
from relay.position import Position


class Client:
    """A subscriber and publisher that notes what happens to it."""

    share = Share.CLIENTS

    def __init__(self, node: Node) -> None:
        self.id = node.new_id()
        self.echo = False
        self.chunks: list[bytes] = []
        self.paused = False

    @property
    def encode(self) -> Encoder:
        return lambda message: message.payload

    def deliver(self, data: bytes, count: int) -> None:
        self.chunks.append(data)

    def missed(self, channel: str, position: Position | None) -> None:
        raise AssertionError(channel)

    def publish_failed(self, error: PublishError) -> None:
        raise AssertionError(error)

    def pause_publishing(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_publishing(self) -> None:
        self.paused = False


class Eager(Client):
    """A publisher that has more to say whenever it may go on."""

    def __init__(self, node: Node, number: int) -> None:
        super().__init__(node)
        self._node = node
        self._number = number
        self.said: list[int] = []

    def publish(self) -> None:
        self._node.publish(Message("c", b"x", origin=self.id), self)

    def resume_publishing(self) -> None:
        super().resume_publishing()
        self.said.append(self._number)
        self.publish()


class Spy(MemoryBroker):
    """A memory broker that keeps what it is asked for, and takes no more when told so.

    Attributes:
        takes_more: what it says to a source that publishes.
        room: messages until it is congested, once `takes_more` is False; None: it never is.
        holds_back: whether sources that publish as fast as they can must wait.
        problem: why nothing gets through; empty: it does.
    """

    def __init__(self, options: BrokerOptions, sink: Node, counters: Counters) -> None:
        super().__init__(options, sink, counters)
        self.asked: list[str] = []
        self.takes_more = True
        self.room: int | None = None
        self.holds_back = False
        self.problem = ""

    def hold_back(self) -> bool:
        return self.holds_back

    @property
    def problems(self) -> list[str]:
        return [self.problem] if self.problem else []

    @property
    def congested(self) -> bool:
        return self.room == 0

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        self.asked.append(f"+{channel}")
        return super().subscribe(channel)

    def unsubscribe(self, channel: str) -> None:
        self.asked.append(f"-{channel}")
        super().unsubscribe(channel)

    def publish(
        self, message: Message, source: Source, receipt: Receipt | None = None, idempotency_key: str | None = None
    ) -> bool:
        super().publish(message, source, receipt, idempotency_key)
        if self.room:
            self.room -= 1
        return self.takes_more


def make(*, unsubscribe_delay: float = 0.02, write_delay: float = 0.0) -> tuple[Node, Spy]:
    """Return a node on a memory broker that is watched."""
    node = Node(BrokerOptions("memory://"), Counters(), write_delay=write_delay, unsubscribe_delay=unsubscribe_delay)
    spy = Spy(BrokerOptions("memory://"), node, node.counters)
    node._broker = spy
    return node, spy


def join(node: Node, channel: str) -> Client:
    """Subscribe a new client."""
    client = Client(node)
    node.claim(channel)
    node.hub.add(channel, client)
    return client

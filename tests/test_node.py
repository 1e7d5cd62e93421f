"""Claims on bus subscriptions, and pausing of publishers."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers import BrokerOptions, Receipt, Source
from relay.brokers.memory import MemoryBroker
from relay.brokers.shares import Share
from relay.errors import PublishError
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.node import Node
from relay.paused_sources import HELD_BACK_PER_TURN, RESUMED_PER_TURN
from relay.position import Position
from tests.harness.conditions import stays_true, wait_until


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


async def test_ids_are_unique_over_nodes() -> None:
    ids = {make()[0].new_id() for _ in range(50)} | {make()[0].new_id() for _ in range(50)}
    assert len(ids) == 100
    assert {len(id) for id in ids} == {16}


async def test_the_bus_is_told_a_while_after_the_last_client_has_left() -> None:
    node, spy = make()
    first, _ = node.claim("c")
    second, _ = node.claim("c")
    node.release(first)
    assert await stays_true(lambda: "-c" not in spy.asked, 0.04)
    node.release(second)
    assert "-c" not in spy.asked
    await wait_until(lambda: "-c" in spy.asked)
    assert node.interests == 0


async def test_flapping_clients_never_reach_the_bus() -> None:
    node, spy = make(unsubscribe_delay=0.05)
    for _ in range(50):
        interest, _ = node.claim("c")
        await asyncio.sleep(0)
        node.release(interest)
    assert "-c" not in spy.asked
    interest, _ = node.claim("c")
    assert await stays_true(lambda: "-c" not in spy.asked, 0.08)
    node.release(interest)
    await wait_until(lambda: spy.asked[-1] == "-c")
    assert spy.asked.count("-c") == 1


async def test_messages_of_one_tick_are_fanned_out_together() -> None:
    node, _ = make()
    a, b = join(node, "c"), join(node, "c")
    for number in range(3):
        node.publish(Message("c", b"%d" % number, origin=a.id), a)
    assert b.chunks == []
    await asyncio.sleep(0)
    assert b.chunks == [b"012"]


async def test_a_write_delay_bounds_the_rate_but_not_the_first_message() -> None:
    node, _ = make(write_delay=0.5)
    a, b = join(node, "c"), join(node, "c")
    node.publish(Message("c", b"first", origin=a.id), a)
    await asyncio.sleep(0)
    assert b.chunks == [b"first"]
    for number in range(5):
        node.publish(Message("c", b"%d" % number, origin=a.id), a)
        await asyncio.sleep(0)
    assert b.chunks == [b"first"]
    await wait_until(lambda: len(b.chunks) == 2)
    assert b.chunks[1] == b"01234"


async def test_a_publisher_is_paused_once_and_resumed_when_the_bus_takes_more() -> None:
    node, spy = make()
    client = join(node, "c")
    spy.takes_more = False
    for _ in range(3):
        node.publish(Message("c", b"x", origin=client.id), client)
    assert client.paused
    node.writable()
    await asyncio.sleep(0)
    assert not client.paused


async def test_publishers_go_on_in_the_order_in_which_they_were_paused_while_there_is_room() -> None:
    """Those that find no room again keep their turn; so none is left behind by faster ones."""
    node, spy = make()
    clients = [Eager(node, number) for number in range(3)]
    spy.takes_more = False
    for client in clients:
        client.publish()
    said: list[int] = []
    for client in clients:
        client.said = said
    spy.room = 1
    for expected in ([0], [0, 1], [0, 1, 2], [0, 1, 2, 0]):
        spy.room = 1
        node.writable()
        await asyncio.sleep(0)
        assert said == expected
        assert all(client.paused for client in clients)
        assert node.congested


async def test_many_paused_publishers_go_on_in_several_turns() -> None:
    node, spy = make()
    clients = [join(node, "c") for _ in range(2 * RESUMED_PER_TURN + 1)]
    spy.takes_more = False
    for client in clients:
        node.publish(Message("c", b"x", origin=client.id), client)
    node.writable()
    node.writable()
    for left in (RESUMED_PER_TURN + 1, 1, 0):
        await asyncio.sleep(0)
        assert node.paused_publishers == left
    assert not any(client.paused for client in clients)


async def test_few_of_those_at_full_speed_go_on_in_a_turn() -> None:
    """Each brings a whole read buffer, and others have one message."""
    node, spy = make()
    fast, slow = ([join(node, "c") for _ in range(2 * HELD_BACK_PER_TURN)] for _ in range(2))
    spy.holds_back, spy.takes_more = True, False
    for client in fast:
        node.hold_back(client)
    for client in slow:
        node.publish(Message("c", b"x", origin=client.id), client)
    spy.holds_back = False
    node.writable()
    for left in (len(slow) + HELD_BACK_PER_TURN, len(slow), 0):
        await asyncio.sleep(0)
        assert node.paused_publishers == left


@pytest.mark.parametrize(("problem", "left"), [("", 2), ("Redis is away", 0)])
async def test_paused_publishers_wait_while_much_is_on_its_way(problem: str, left: int) -> None:
    """They would all bring a read buffer at once. While the bus is away, what they have kept has to fail in time."""
    node, spy = make()
    clients = [join(node, "c") for _ in range(2)]
    spy.takes_more = False
    for client in clients:
        node.publish(Message("c", b"x", origin=client.id), client)
    spy.holds_back, spy.problem = True, problem
    node.writable()
    await asyncio.sleep(0)
    assert node.paused_publishers == left
    spy.holds_back = False
    node.writable()
    await asyncio.sleep(0)
    assert not node.paused_publishers


@pytest.mark.parametrize(("problem", "held"), [("", 1), ("Redis is away", 0)])
async def test_a_publisher_at_full_speed_is_held_back_unless_the_bus_is_away(problem: str, held: int) -> None:
    """Nothing of it may wait for the bus: then nothing would tell it to go on before the bus is back."""
    node, spy = make()
    spy.holds_back, spy.problem = True, problem
    node.hold_back(join(node, "c"))
    assert node.paused_publishers == held


async def test_a_publisher_that_has_left_is_not_resumed() -> None:
    node, spy = make()
    client = join(node, "c")
    spy.takes_more = False
    node.publish(Message("c", b"x", origin=client.id), client)
    node.forget(client)
    node.writable()
    await asyncio.sleep(0)
    assert client.paused


async def test_a_fault_of_one_publisher_reaches_neither_the_bus_nor_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node, spy = make()
    broken, sound = join(node, "c"), join(node, "c")
    broken.resume_publishing = lambda: 1 // 0  # type: ignore[method-assign, assignment]
    spy.takes_more = False
    for client in (broken, sound):
        node.publish(Message("c", b"x", origin=client.id), client)
    node.writable()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not sound.paused
    assert "ZeroDivisionError" in caplog.text


async def test_gaps_are_counted() -> None:
    node, _ = make()
    node.gap(["a", "b", "c"], 1.5)
    node.gap(["a", "d"], 0.1)
    assert (node.counters.gaps, node.counters.gap_channels) == (2, 5)


async def test_draining_flushes_and_stopping_cancels_the_delayed_unsubscribe() -> None:
    node, spy = make(unsubscribe_delay=0.02)
    a, b = join(node, "c"), join(node, "c")
    lonely, _ = node.claim("d")
    node.publish(Message("c", b"last", origin=a.id), a)
    node.release(lonely)
    await node.drain()
    assert b.chunks == [b"last"]
    await node.stop()
    assert await stays_true(lambda: "-d" not in spy.asked, 0.04)

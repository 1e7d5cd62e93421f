"""Clients that may have missed messages are told, or closed at an even pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from relay.brokers import BrokerOptions
from relay.brokers.shares import Share
from relay.clients import missed_messages as module
from relay.clients.missed_messages import MissedMessages
from relay.errors import Disconnect, PublishError
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.node import Node
from relay.position import Position
from tests.harness.conditions import wait_until

POSITION = Position("e", 7)


def encode(message: Message) -> bytes:
    """Return a message as it is."""
    return message.payload


class Client:
    """A client of the node, which notes what it is told.

    Attributes:
        word: whether it can be told; else it has to be closed.
        empty: whether nothing of what was read of it waits.
        told: the channels of which it was told, and their positions.
        closed_at: when it was closed.
        log: what it was delivered, and its end.
    """

    echo = True

    def __init__(self, place: Place, number: int, *, word: bool = False) -> None:
        self._place = place
        self.id = number.to_bytes(16, "big")
        self.word = word
        self.empty = True
        self.prepared = False
        self.told: list[tuple[str, Position | None]] = []
        self.closed_at: float | None = None
        self.log: list[bytes] = []
        self.on_close: Callable[[], None] = lambda: None

    @property
    def encode(self) -> Encoder:
        return encode

    @property
    def share(self) -> Share:
        return Share.CLIENTS

    def deliver(self, data: bytes, count: int) -> None:
        self.log.append(data)

    def missed(self, channel: str, position: Position | None) -> None:
        self.told.append((channel, position))
        if not self.word:
            self._place.missed.close(self, Disconnect.MISSED)

    def prepare_to_close(self) -> bool:
        self.prepared = True
        return self.empty

    def close(self, why: Disconnect) -> None:
        assert why is Disconnect.MISSED
        assert self.closed_at is None, "it is closed once"
        assert self.prepared, "nothing may be published between the last look and the close"
        self.closed_at = self._place.now
        self.log.append(b"closed")
        self.on_close()
        self.leave()

    def leave(self, *channels: str) -> None:
        """Leave, as a client does on every path."""
        for channel in self._place.node.hub.channels:
            self._place.node.hub.remove(channel, self)
        self._place.missed.discard(self)

    def publish_failed(self, error: PublishError) -> None:
        raise AssertionError(error)

    def pause_publishing(self) -> None:
        raise AssertionError

    def resume_publishing(self) -> None:
        raise AssertionError


class Place:
    """A node, its clients, and a clock that the test turns on.

    Args:
        close: see `MissedMessages`.
        seconds: see `MissedMessages`.
    """

    def __init__(self, *, close: bool = True, seconds: float = 30.0) -> None:
        self.now = 1000.0
        self.node = Node(BrokerOptions("memory://"), Counters())
        self.node.clock = lambda: self.now
        self.missed = MissedMessages(self.node, close=close, seconds=seconds)
        self.node.recoveries.position = lambda channel: POSITION if channel == "kept" else None  # type: ignore[method-assign]
        self.unsettled: set[object] = set()
        self.node.unsettled = lambda: self.unsettled  # type: ignore[method-assign, assignment, return-value]
        self._number = 0

    def come(self, *channels: str, word: bool = False) -> Client:
        """Let a client in."""
        self._number += 1
        client = Client(self, self._number, word=word)
        for channel in channels:
            self.node.hub.add(channel, client)
        return client

    def pass_time(self, seconds: float) -> None:
        """Take the turns of so many seconds."""
        for _ in range(round(seconds / module.TURN_SECONDS)):
            self.now += module.TURN_SECONDS
            self.missed.turn(self.now)


async def test_each_subscriber_is_told_of_each_of_its_channels_with_where_it_goes_on() -> None:
    place = Place()
    one, both, other = place.come("a", word=True), place.come("a", "kept", word=True), place.come("b", word=True)
    place.missed.tell(["a", "kept", "nobody"])
    assert one.told == [("a", None)]
    assert both.told == [("a", None), ("kept", POSITION)]
    assert other.told == []
    assert not len(place.missed)


async def test_who_cannot_be_told_is_closed_at_an_even_pace() -> None:
    place = Place(seconds=30.0)
    clients = [place.come(channel) for channel in ("a", "b") for _ in range(30)]
    began = place.now
    place.missed.tell(["a", "b"])
    assert len(place.missed) == 60
    place.pass_time(30.0)
    assert not len(place.missed)
    for number, client in enumerate(clients):
        assert client.closed_at is not None
        assert client.closed_at - began == pytest.approx(number * 0.5, abs=2 * module.TURN_SECONDS)


async def test_with_no_time_all_are_closed_at_once() -> None:
    place = Place(seconds=0.0)
    clients = [place.come("a") for _ in range(100)]
    place.missed.tell(["a"])
    place.missed.turn(place.now)
    assert all(client.closed_at == place.now for client in clients)


async def test_an_operator_may_want_them_to_stay() -> None:
    place = Place(close=False)
    silent, speaking = place.come("a"), place.come("a", word=True)
    place.missed.tell(["a"])
    assert speaking.told == [("a", None)]
    assert not len(place.missed)
    place.pass_time(31.0)
    assert silent.closed_at is None


async def test_a_second_gap_neither_begins_anew_nor_closes_anybody_twice() -> None:
    place = Place(seconds=30.0)
    early = [place.come("a") for _ in range(10)]
    began = place.now
    place.missed.tell(["a"])
    place.pass_time(10.0)
    late = [place.come("a") for _ in range(10)]
    second = place.now
    place.missed.tell(["a", "a"])
    assert len(place.missed) == sum(client.closed_at is None for client in early) + 10
    place.pass_time(30.0)
    for number, client in enumerate(early):
        assert client.closed_at is not None
        assert client.closed_at - began == pytest.approx(3.0 * number, abs=2 * module.TURN_SECONDS)
    for number, client in enumerate(late):
        assert client.closed_at is not None
        assert client.closed_at - second == pytest.approx(3.0 * number, abs=2 * module.TURN_SECONDS)


async def test_who_leaves_meanwhile_is_forgotten_on_every_path() -> None:
    """While it waits, when its turn has come, while others are told, and by what is delivered before its close."""
    place = Place(seconds=0.0)
    waiting, busy, pushed, last = (place.come("a") for _ in range(4))
    place.missed.tell(["a"])
    waiting.leave()
    busy.empty = False
    pushed.on_close = last.leave
    place.missed.turn(place.now)
    assert len(place.missed) == 1
    busy.leave()
    assert not len(place.missed)
    assert [client.closed_at for client in (waiting, busy, last)] == [None] * 3
    assert pushed.closed_at is not None
    assert not place.missed._due
    place.pass_time(0.1)
    assert not place.missed._waiting
    assert not place.missed._numbers


async def test_a_publisher_is_closed_once_the_bus_has_answered() -> None:
    """Its close says that all it had sent was published."""
    place = Place(seconds=0.0)
    idle, unanswered, full = place.come("a"), place.come("a"), place.come("a")
    place.unsettled.add(unanswered)
    full.empty = False
    place.missed.tell(["a"])
    place.missed.turn(place.now)
    assert idle.closed_at is not None
    assert unanswered.prepared
    assert unanswered.closed_at is full.closed_at is None
    place.unsettled.clear()
    full.empty = True
    place.pass_time(module.TURN_SECONDS)
    assert unanswered.closed_at is not None
    assert full.closed_at is not None


async def test_what_was_received_is_delivered_before_each_close() -> None:
    place = Place(seconds=0.0)
    client = place.come("a")
    place.missed.tell(["a"])
    place.node.hub.receive(Message("a", b"hello"))
    place.missed.turn(place.now)
    assert client.log == [b"hello", b"closed"]


async def test_a_client_that_fails_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor of the task lets it go on."""
    place = Place(seconds=0.0)
    faulty, other = place.come("a"), place.come("a")

    def fail(why: Disconnect) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(faulty, "close", fail)
    place.missed.tell(["a"])
    with pytest.raises(ZeroDivisionError):
        place.missed.turn(place.now)
    place.missed.turn(place.now)
    assert other.closed_at is not None
    assert not len(place.missed)


async def test_it_runs_only_while_somebody_waits() -> None:
    place = Place(seconds=0.0)
    running = asyncio.create_task(place.missed.run())
    try:
        for _ in range(2):
            client = place.come("a")
            place.missed.tell(["a"])
            await wait_until(lambda client=client: client.closed_at is not None)
            await wait_until(lambda: not place.missed._begun.is_set())
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

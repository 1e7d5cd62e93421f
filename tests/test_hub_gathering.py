"""Subscribers of several channels, which write once a flush."""

from __future__ import annotations

from collections.abc import Callable

from relay.hub import Hub
from relay.message import Message
from tests.hub_bench import Bench, Listener


class Gathering(Listener):
    """A subscriber that keeps what it gets until the end of a flush."""

    def __init__(self, number: int, hub: Hub) -> None:
        super().__init__(number)
        self._hub = hub
        self.on_write: Callable[[], None] = lambda: None
        self.writes: list[bytes] = []

    def deliver(self, data: bytes, count: int) -> None:
        if not self.chunks:
            self._hub.gather(self)
        super().deliver(data, count)

    def write_gathered(self) -> None:
        self.writes.append(b"".join(self.chunks))
        self.chunks.clear()
        self.on_write()


def test_a_subscriber_of_ten_channels_writes_once_a_flush() -> None:
    bench = Bench()
    gathering, other = Gathering(1, bench.hub), Listener(2)
    for number in range(10):
        bench.hub.add(f"c{number}", gathering)
    bench.hub.add("c9", other)
    for _ in range(2):
        for number in range(10):
            bench.hub.receive(Message(f"c{number}", b"%d" % number))
        assert not other.chunks
        bench.hub.flush()
        assert gathering.writes.pop() == b"[0][1][2][3][4][5][6][7][8][9]"
        assert other.chunks.pop() == b"[9]"
    assert (gathering.writes, bench.scheduled) == ([], 2)


def test_what_is_gathered_outside_a_flush_is_written_by_the_next_one() -> None:
    """A large batch is delivered at once."""
    bench = Bench()
    gathering = Gathering(1, bench.hub)
    bench.hub.gather(gathering)
    bench.hub.gather(Gathering(2, bench.hub))
    assert (bench.scheduled, gathering.writes) == (1, [])
    bench.hub.flush()
    assert gathering.writes == [b""]


def test_a_subscriber_of_several_channels_writes_once_at_the_end_of_a_flush() -> None:
    bench = Bench()
    gathering, listener = Gathering(1, bench.hub), Listener(2)
    for name in "abc":
        bench.hub.add(name, gathering)
        bench.hub.add(name, listener)
        bench.hub.receive(Message(name, name.encode()))
    assert bench.scheduled == 1
    bench.hub.flush()
    assert gathering.writes == [b"[a][b][c]"]
    assert listener.chunks == [b"[a]", b"[b]", b"[c]"]
    assert bench.scheduled == 1
    bench.hub.flush()
    assert len(gathering.writes) == 1


def test_gathering_outside_a_flush_asks_for_one() -> None:
    bench = Bench()
    gathering = Gathering(1, bench.hub)
    gathering.deliver(b"answer", 0)
    gathering.deliver(b"another", 0)
    assert bench.scheduled == 1
    bench.hub.flush()
    assert gathering.writes == [b"answeranother"]


def test_what_comes_during_a_flush_is_flushed_by_another_one() -> None:
    """Also what a gathering subscriber brings about when it writes, at the end of it."""
    bench = Bench()
    gathering, listener = Gathering(1, bench.hub), Listener(2)
    bench.hub.add("a", gathering)
    bench.hub.add("b", listener)
    gathering.on_write = lambda: bench.hub.receive(Message("b", b"late"))
    bench.hub.receive(Message("a", b"x"))
    bench.hub.flush()
    assert listener.chunks == []
    assert bench.scheduled == 2
    bench.hub.flush()
    assert listener.chunks == [b"[late]"]
    assert bench.scheduled == 2
    bench.hub.receive(Message("b", b"next"))
    assert bench.scheduled == 3

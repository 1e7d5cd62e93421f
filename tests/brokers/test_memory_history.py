"""How a single gateway bounds what it keeps; what it keeps is in `test_history.py`."""

from __future__ import annotations

import pytest

from relay.brokers import Published, memory_history
from relay.brokers.history import FRESH_SECONDS, POSITION_SECONDS, REPEAT_SECONDS
from relay.brokers.memory_history import MemoryHistoryStore
from relay.message import Message
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position

OPTIONS = ChannelOptions(history_size=10, history_ttl=60)


class Shelf:
    """A store, and the clock that it goes by."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.store = MemoryHistoryStore(Namespaces(OPTIONS), lambda: self.now)

    def add(self, channel: str, payload: bytes = b"x") -> Position:
        return self.store.append(Message(channel, payload), OPTIONS).position

    @property
    def kept(self) -> int:
        """Messages that are really there."""
        return sum(len(channel.messages) for channel in self.store._channels.values())


async def test_a_position_ends_a_week_after_its_last_message() -> None:
    shelf = Shelf()
    first = shelf.add("c")
    shelf.now += POSITION_SECONDS - 1
    assert shelf.add("c") == Position(first.epoch, 2)
    shelf.now += POSITION_SECONDS
    page = await shelf.store.read("c")
    assert page.top.offset == 0
    assert page.top.epoch != first.epoch


async def test_what_expires_in_channels_that_nobody_asks_for_goes_while_others_are_used() -> None:
    shelf = Shelf()
    for number in range(100):
        shelf.add(f"old {number}")
    shelf.now += 61
    for _ in range(60):
        shelf.add("new")
    assert shelf.kept == 10
    shelf.now += POSITION_SECONDS
    for _ in range(60):
        shelf.add("new")
    assert len(shelf.store._channels) == 1


async def test_where_nothing_was_published_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_history, "MAX_CHANNELS", 3)
    shelf = Shelf()
    epochs = {channel: shelf.add(channel).epoch for channel in "abc"}
    shelf.add("a")
    shelf.add("d")
    assert shelf.add("a") == Position(epochs["a"], 3)
    assert shelf.add("c") == Position(epochs["c"], 2)
    assert shelf.add("b").epoch != epochs["b"]
    assert len(shelf.store._channels) == 3


async def test_where_nothing_was_ever_published_goes_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may read must not push out what was published."""
    monkeypatch.setattr(memory_history, "MAX_CHANNELS", 3)
    shelf = Shelf()
    positions = {channel: shelf.add(channel) for channel in "ab"}
    for number in range(10):
        await shelf.store.read(f"stranger {number}")
    assert len(shelf.store._channels) == 3
    positions["c"] = shelf.add("c")
    for number in range(10):
        assert (await shelf.store.read(f"stranger {number}")).top.offset == 0
    for channel, position in positions.items():
        assert (await shelf.store.read(channel)).top == position
    assert len(shelf.store._channels) == 3
    assert not shelf.store._fresh
    assert shelf.add("d").offset == 1
    assert (await shelf.store.read("a")).top.epoch != positions["a"].epoch


async def test_a_position_without_messages_ends_soon_and_looks_keep_it() -> None:
    shelf = Shelf()
    top = (await shelf.store.read("c")).top
    shelf.now += FRESH_SECONDS - 1
    assert (await shelf.store.read("c")).top == top
    shelf.now += FRESH_SECONDS - 1
    assert (await shelf.store.read("c")).top == top
    shelf.now += FRESH_SECONDS
    assert (await shelf.store.read("c")).top != top
    assert shelf.add("c").offset == 1


async def test_looks_keep_the_position_of_a_quiet_channel() -> None:
    shelf = Shelf()
    position = shelf.add("c")
    for _ in range(3):
        shelf.now += POSITION_SECONDS - 1
        assert (await shelf.store.read("c")).top == position


async def test_all_histories_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_history, "MAX_BYTES", 100_000)
    monkeypatch.setattr(memory_history, "ROOM_BYTES", 10_000)
    shelf = Shelf()
    positions = [shelf.add(f"c{number}", b"x" * 10_000) for number in range(30)]
    assert 8 <= shelf.kept <= 9
    assert (await shelf.store.read("c0")).top == positions[0], "the position stays"
    assert len((await shelf.store.read("c29")).messages) == 1
    shelf.add("big", b"x" * 200_000)
    assert len((await shelf.store.read("big")).messages) == 1, "the newest one is kept in any case"
    assert shelf.kept == 1
    await shelf.store.remove("big")
    assert shelf.store._bytes == 0


async def test_keys_are_forgotten_after_a_while_and_beyond_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_history, "MAX_REPEATS", 3)
    shelf = Shelf()
    shelf.store.remember("c", "k", Published(2))
    assert shelf.store.find("c", "k") == Published(2, repeated=True)
    assert shelf.store.find("d", "k") is None
    shelf.now += REPEAT_SECONDS
    assert shelf.store.find("c", "k") is None
    for key in ("1", "2", "3", "4"):
        shelf.store.remember("c", key, Published(0))
    assert [shelf.store.find("c", key) is not None for key in ("k", "1", "2", "3", "4")] == [False, False, *[True] * 3]

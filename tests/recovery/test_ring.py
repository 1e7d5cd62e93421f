"""The newest messages that a gateway keeps: never more than is allowed, of one channel and of all."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from relay.brokers.history import HistoryPage
from relay.message import Attributes, PositionedMessage
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.live_buffer import BUFFER_BYTES, LiveBuffer
from relay.recovery.reading import Extent, Reading
from relay.recovery.recent_messages import RecentMessages
from relay.recovery.ring import MESSAGE_BYTES, Budget, Ring
from tests.recovery.channel_bus import positioned


def message(offset: int, size: int = 0) -> PositionedMessage:
    """Return a message."""
    return positioned(Position("e", offset), b"x" * size)


@given(st.lists(st.integers(0, 30), max_size=40))
def test_a_ring_has_the_newest_messages_that_there_is_room_for(sizes: list[int]) -> None:
    budget = Budget(1 << 20)
    ring = Ring(5, 60, budget)
    for offset, size in enumerate(sizes, 1):
        ring.append(message(offset, size))
    expected: list[int] = []
    for offset in range(len(sizes), 0, -1):
        if len(expected) == 5 or sum(sizes[number - 1] for number in (*expected, offset)) > 60:
            break
        expected.append(offset)
    assert [one.position.offset for one in ring.newest(99)] == expected[::-1]
    assert [one.position.offset for one in ring.newest(2)] == expected[:2][::-1]
    assert budget.used == sum(sizes[offset - 1] + MESSAGE_BYTES for offset in expected)
    ring.close()
    assert (budget.used, budget.owners) == (0, 0)


def test_attributes_take_room_like_payloads() -> None:
    budget = Budget(1 << 20)
    ring, kept = Ring(5, 60, budget), LiveBuffer(budget)
    one = msgspec.structs.replace(message(1, 10), attributes=Attributes(b"p" * 5, b"t" * 15))
    kept.add(one)
    assert budget.used == 30 + MESSAGE_BYTES
    kept.take()
    for _ in range(5):
        ring.append(one)
    assert (len(ring), budget.used) == (2, 2 * (30 + MESSAGE_BYTES))
    ring.clear()
    assert budget.used == 0


def test_a_channel_that_gets_a_message_keeps_to_its_share_when_all_have_too_much() -> None:
    budget = Budget(20 * MESSAGE_BYTES)
    large, small = Ring(100, 1 << 20, budget), Ring(100, 1 << 20, budget)
    for offset in range(1, 30):
        large.append(message(offset))
    assert (len(large), budget.exceeded) == (20, False)
    for offset in range(1, 6):
        small.append(message(offset))
    assert (len(large), len(small)) == (20, 5)
    large.trim()
    assert (len(large), len(small), budget.exceeded) == (15, 5, False)


def test_what_a_ring_has_no_room_for_is_read() -> None:
    budget = Budget(2 * MESSAGE_BYTES)
    recent = RecentMessages(ChannelOptions(history_size=10), budget)
    for offset in range(1, 6):
        recent.append(message(offset))
    last = Position("e", 5)
    assert recent.lacks(Position("e", 3), last, None) is None
    assert recent.lacks(Position("e", 2), last, None) is not None
    assert not recent.replay(Position("e", 2), last, None).recovered


def test_what_the_bus_keeps_no_more_either_is_not_read() -> None:
    recent = RecentMessages(ChannelOptions(history_size=10, history_bytes=2048), Budget(1 << 20))
    for offset in range(1, 6):
        recent.append(message(offset, 1000))
    last = Position("e", 5)
    assert recent.lacks(Position("e", 3), last, None) is None
    assert recent.replay(Position("e", 3), last, None).recovered
    for since in (0, 1, 2):
        assert recent.lacks(Position("e", since), last, None) is None
        assert not recent.replay(Position("e", since), last, None).recovered


def test_the_newest_message_is_kept_whatever_its_size() -> None:
    """The bus keeps it, too."""
    recent = RecentMessages(ChannelOptions(history_size=10, history_bytes=2048), Budget(1 << 20))
    recent.append(message(1, 1000))
    recent.append(message(2, 3000))
    assert recent.replay(Position("e", 1), Position("e", 2), None).recovered


def test_a_reading_since_an_offset_is_kept_and_tells_what_is_gone() -> None:
    recent = RecentMessages(ChannelOptions(history_size=10), Budget(1 << 20))
    last = Position("e", 8)
    recent.take(Reading(HistoryPage(last, [message(offset) for offset in (6, 7, 8)]), 5), last)
    assert recent.lacks(Position("e", 5), last, None) is None
    assert recent.lacks(Position("e", 4), last, None) is Extent.ALL
    recent.take(Reading(HistoryPage(last, [message(offset) for offset in (6, 7, 8)]), 3), last)
    assert recent.lacks(Position("e", 4), last, None) is None
    assert not recent.replay(Position("e", 4), last, None).recovered


def test_what_is_known_to_be_gone_is_not_read() -> None:
    recent = RecentMessages(ChannelOptions(history_size=10), Budget(2 * MESSAGE_BYTES))
    for offset in range(1, 9):
        recent.append(message(offset))
    last = Position("e", 8)
    for since in (3, 4, 5):
        assert recent.lacks(Position("e", since), last, None) is Extent.ALL
    reading = Reading(HistoryPage(last, [message(offset) for offset in (5, 6, 7, 8)]), 0)
    recent.take(reading, last)
    assert recent.lacks(Position("e", 3), last, None) is None
    assert recent.lacks(Position("e", 4), last, None) is Extent.ALL
    assert recent.lacks(Position("e", 4), last, reading) is None
    assert len(recent.replay(Position("e", 4), last, reading).messages) == 4
    assert not recent.replay(Position("e", 3), last, reading).recovered


def test_messages_without_room_push_out_those_that_were_kept_before() -> None:
    budget = Budget(BUFFER_BYTES * 2)
    kept = LiveBuffer(budget)
    half = BUFFER_BYTES // 2 - MESSAGE_BYTES
    assert kept.add(message(1, half))
    assert kept.add(message(2, half))
    assert not kept.add(message(3, half))
    assert [one.position.offset for one in kept.messages] == [3]
    assert budget.used == BUFFER_BYTES // 2
    assert kept.take()[0] == [message(3, half)]
    assert budget.used == 0


def test_one_channel_has_no_room_when_all_together_have_none() -> None:
    budget = Budget(3 * MESSAGE_BYTES)
    one, other = LiveBuffer(budget), LiveBuffer(budget)
    assert one.add(message(1))
    assert one.add(message(2))
    assert other.add(message(1))
    assert not other.add(message(2))
    assert [kept.position.offset for kept in other.messages] == [2]
    assert len(one.messages) == 2

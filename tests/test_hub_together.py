"""How the hub lets a fan-out write what several channels have for the same subscribers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from relay.hub import MAX_BATCH_BYTES, Hub
from relay.message import Message
from relay.metrics.counters import Counters
from relay.position import Position
from relay.subscribers import Group, Subscriber
from tests.hub_bench import Listener


class Recorder:
    """A fan-out that writes to those whose numbers are even, and keeps what it was asked for.

    Args:
        gathering: subscribers that are written to together.
    """

    least = 2

    def __init__(self, *gathering: Subscriber) -> None:
        self.at_once: list[tuple[bytes, list[Subscriber]]] = []
        self.together: list[list[bytes]] = []
        self._gathering = {one.id for one in gathering}

    def deliver(self, group: Group, data: bytes, without: Collection[Subscriber]) -> Collection[Subscriber]:
        """Leave the others to the hub."""
        self.at_once.append((data, list(without)))
        apart = {subscriber.id for subscriber in without}
        return [one for one in group.values() if one.id[-1] % 2 and one.id not in apart]

    def gathers(self, group: Group) -> bool:
        return not self._gathering.isdisjoint(group)

    def deliver_together(self, deliveries: Sequence[tuple[Group, bytes]]) -> tuple[list[Collection[Subscriber]], int]:
        """Leave the others to the hub, and say that each chunk but the first was joined."""
        self.together.append([data for _, data in deliveries])
        others = [[one for one in group.values() if one.id[-1] % 2] for group, _ in deliveries]
        return list(others), len(deliveries) - 1

    def close(self) -> None:
        raise AssertionError


class Member(Listener):
    """A subscriber that notes of which channels it is told that messages are missing."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.told: list[str] = []

    def missed(self, channel: str, position: Position | None) -> None:
        self.told.append(channel)


class World:
    """A hub: two subscribers of `a` and `b` gather; one of `b`, two of `c` and one of `few` don't."""

    def __init__(self) -> None:
        self.even, self.odd, self.plain, self.apart, self.last = (Member(n) for n in (2, 3, 5, 7, 8))
        self.members = [self.even, self.odd, self.plain, self.apart, self.last]
        self.counters = Counters()
        self.fan_out = Recorder(self.even, self.odd)
        self.hub = Hub(self.counters, lambda: None, self.fan_out)
        for name in "ab":
            self.hub.add(name, self.even)
            self.hub.add(name, self.odd)
        self.hub.add("b", self.plain)
        self.hub.add("c", self.apart)
        self.hub.add("c", self.last)
        self.hub.add("few", self.even)

    def publish(self, *channels: str) -> None:
        """Let a message of each of these channels come, with the channel's name as its payload."""
        for name in channels:
            self.hub.receive(Message(name, name.encode()))


def test_what_several_channels_have_for_those_that_gather_is_written_together() -> None:
    world = World()
    world.publish("a", "c", "b")
    world.hub.flush()
    assert world.fan_out.together == [[b"[a]", b"[b]"]]
    assert [data for data, _ in world.fan_out.at_once] == [b"[c]"], "nobody there gathers"
    assert [one.chunks for one in (world.odd, world.plain, world.apart)] == [[b"[a]", b"[b]"], [b"[b]"], [b"[c]"]]
    assert world.even.chunks == []
    assert (world.counters.deliveries, world.counters.writes) == (7, 6)


def test_one_channel_alone_is_written_at_once() -> None:
    world = World()
    world.publish("a")
    world.hub.flush()
    assert (world.fan_out.together, world.fan_out.at_once) == ([], [(b"[a]", [])])


def test_small_groups_come_first_so_that_who_gathers_them_gets_one_write() -> None:
    """It is passed over then: something is gathered for it."""
    world = World()
    world.even.on_delivery = lambda: world.fan_out.together.append([b"gathered"])
    world.publish("a", "b", "few")
    world.hub.flush()
    assert world.even.chunks == [b"[few]"]
    assert world.fan_out.together == [[b"gathered"], [b"[a]", b"[b]"]]


def test_who_publishes_to_one_of_the_channels_and_wants_no_echo_is_passed_over() -> None:
    world = World()
    world.hub.receive(world.even.say("mine", "a"))
    world.hub.receive(world.odd.say("other", "a"))
    world.publish("b")
    world.hub.flush()
    assert world.fan_out.at_once == []
    assert (world.even.chunks, world.odd.chunks) == ([b"[other]"], [b"[mine]", b"[b]"])
    assert world.fan_out.together == [[b"[b]"]]


@pytest.mark.parametrize("size", [MAX_BATCH_BYTES, 1], ids=["full batch", "new subscriber"])
def test_nothing_overtakes_what_waits_for_the_end_of_the_flush(size: int) -> None:
    """What one delivery leads to, with a broker in this process, comes behind what the flush has for the channel."""
    world = World()

    def publish_more() -> None:
        world.hub.receive(Message("a", b"x" * size))
        world.hub.flush_channel("a")

    world.apart.on_delivery = publish_more
    world.publish("a", "c", "b")
    world.hub.flush()
    assert world.fan_out.together == [[b"[a]"], [b"[b]"]]
    assert [chunk[:2] for chunk in world.odd.chunks] == [b"[a", b"[x", b"[b"]


def test_who_leaves_before_the_end_of_the_flush_gets_nothing_more() -> None:
    world = World()
    world.apart.on_delivery = lambda: world.hub.remove("a", world.odd)
    world.publish("a", "c", "b")
    world.hub.flush()
    assert world.odd.chunks == [b"[b]"]


def test_who_comes_within_a_flush_gets_nothing_of_before() -> None:
    """What waits for the end of the flush is delivered first: the newcomer has it from the channel's history."""
    world, newcomer = World(), Member(9)

    def join() -> None:
        world.hub.flush_channel("a")
        world.hub.add("a", newcomer)

    world.apart.on_delivery = join
    world.publish("a", "c", "b")
    world.hub.flush()
    assert world.fan_out.together == [[b"[a]"], [b"[b]"]]
    assert (world.odd.chunks, newcomer.chunks) == ([b"[a]", b"[b]"], [])
    world.publish("a")
    world.hub.flush()
    assert newcomer.chunks == [b"[a]"]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("deliver", ["", "", "", "c", "c"]),
        ("gathers", ["ab", "ab", "b", "c", "c"]),
        ("deliver_together", ["ab", "ab", "b", "", ""]),
    ],
)
def test_a_fault_of_the_fan_out_costs_other_channels_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str, told: list[str]
) -> None:
    world = World()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(world.fan_out, step, fail)
        world.publish("c", "a", "b", "few")
        world.hub.flush()
    assert ["".join(one.told) for one in world.members] == told
    assert world.even.chunks == [b"[few]"]
    assert "messages not delivered" in caplog.text
    assert "subscriber not told" not in caplog.text
    world.publish("a", "c", "b")
    world.hub.flush()
    assert world.odd.chunks[-2:] == [b"[a]", b"[b]"]
    assert world.apart.chunks[-1] == b"[c]"

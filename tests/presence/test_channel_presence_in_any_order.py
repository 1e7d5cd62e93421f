"""A channel's presence against what a bus knows, in any order of events."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.brokers.presence import NOTHING, Tally
from relay.member import Member
from relay.presence.channel_presence import ChannelPresence
from tests.presence.presence_bus import PresenceBus


class World:
    """Two gateways and a bus, driven at random."""

    def __init__(self) -> None:
        self.bus = PresenceBus()
        self.tables = {gateway: ChannelPresence("c", 0.0, events=True) for gateway in "xy"}
        self.dead = dict.fromkeys("xy", False)
        self.numbers = count()
        self.lingering: dict[str, list[str]] = {"x": [], "y": []}

    def come(self, gateway: str, number: int) -> None:
        user = f"u{number}" if number < 3 else None
        self.tables[gateway].come(Member(f"{next(self.numbers)}", user))

    def go(self, gateway: str, number: int) -> None:
        table = self.tables[gateway]
        clients = list(table.members)
        if clients:
            last = table.go(clients[number % len(clients)])
            if last is not None and last.user is None:
                table.end(last.name)
            elif last is not None:
                self.lingering[gateway].append(last.name)

    def end(self, gateway: str, number: int) -> None:
        lingering = self.lingering[gateway]
        if lingering:
            self.tables[gateway].end(lingering.pop(number % len(lingering)))

    def tell(self, gateway: str, number: int) -> None:
        """Tell the bus, which fails before or after it has got it, or not at all; and what happens meanwhile."""
        table = self.tables[gateway]
        if not table.changed:
            return
        change = table.take()
        if number == 0:
            table.fail()
            return
        kept = self.bus.change(gateway, change)
        if number == 1:
            self.come(gateway, 2)
            self.go(gateway, 0)
            table.fail()
        else:
            self.settle(gateway, kept, table.settle)

    def refresh(self, gateway: str, number: int) -> None:
        kept = self.bus.kept.get(("c", gateway))
        self.settle(gateway, NOTHING if kept is None else kept.tally, self.tables[gateway].check)

    def settle(self, gateway: str, kept: Tally, check: Callable[..., bool]) -> None:
        check(kept, dead=self.dead[gateway])
        self.dead[gateway] = False

    def die(self, gateway: str, number: int) -> None:
        """Let the other gateway take this one for dead."""
        self.bus.bury(gateway)
        self.dead[gateway] = True

    def lose(self, gateway: str, number: int) -> None:
        """Let the bus lose all that it has of a gateway; it is noticed before anything else is told.

        It can be noticed when the gateway knows what the bus had, and that isn't nothing.
        """
        if self.tables[gateway]._kept not in (None, NOTHING):
            self.bus.kept.pop(("c", gateway), None)
            self.refresh(gateway, number)

    def settle_all(self) -> None:
        for _ in range(3):
            for gateway in "xy":
                self.refresh(gateway, 0)
                while self.tables[gateway].changed:
                    self.tell(gateway, 2)

    def check(self) -> None:
        """Check that the bus has the truth, and that who was told of everything knows it."""
        assert self.bus.members("c") == {client for table in self.tables.values() for client in table.members}
        names = {name for table in self.tables.values() for name in table._users}
        assert self.bus.seen.get("c", set()) == names


STEPS = ("come", "come", "go", "end", "tell", "tell", "tell", "refresh")


def steps(kinds: tuple[str, ...]) -> st.SearchStrategy[list[tuple[str, str, int]]]:
    return st.lists(st.tuples(st.sampled_from(kinds), st.sampled_from("xy"), st.integers(0, 4)), max_size=60)


@given(steps(STEPS))
def test_however_calls_fail_everything_is_told_once(taken: list[tuple[str, str, int]]) -> None:
    world = World()
    for step, gateway, number in taken:
        getattr(world, step)(gateway, number)
    world.settle_all()
    world.check()
    assert world.bus.idle == 0


@pytest.mark.parametrize("fault", ["die", "lose"])
@given(data=st.data())
def test_in_the_end_the_bus_knows_the_truth_whatever_it_has_lost(fault: str, data: st.DataObject) -> None:
    world = World()
    for step, gateway, number in data.draw(steps((*STEPS, fault))):
        getattr(world, step)(gateway, number)
    world.settle_all()
    world.check()

"""The set of idle polling clients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from relay.clients.idle_polls import IdlePolls


@dataclass(unsafe_hash=True)
class Idle:
    """As much of a client as the set looks at."""

    number: int
    network: str

    def evict(self) -> None:
        raise AssertionError("the set evicts no clients itself")


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=200))
def test_the_newest_of_the_largest_network_is_known_at_any_time(steps: list[tuple[int, bool]]) -> None:
    idle, members = IdlePolls(), set[Idle]()
    for number, adds in steps:
        member = Idle(number, "abcd"[number % 7 % 4])
        if not adds:
            idle.discard(member)
            members.discard(member)
        elif member not in members:
            idle.add(member)
            members.add(member)
        sizes = Counter(member.network for member in members)
        assert len(idle) == len(members)
        assert idle.largest == max(sizes.values(), default=0)
        if members:
            newest = idle.newest_of_largest()
            assert sizes[newest.network] == idle.largest
            assert newest == max((m for m in members if m.network == newest.network), key=lambda m: m.number)


def test_coming_and_going_leaves_nothing_behind() -> None:
    idle = IdlePolls()
    stays, flaps = (Idle(number, "a") for number in (1, 2))
    idle.add(stays)
    for _ in range(1000):
        idle.add(flaps)
        idle.discard(flaps)
    assert len(idle._holdings["a"].newest_first) <= 12
    idle.discard(stays)
    assert not idle._holdings
    assert not idle._networks

"""The table of known gateways, by a clock that the tests set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.control.messages import ControlMessageError
from relay.control.nodes import ANNOUNCE_SECONDS, ANNOUNCEMENTS_TO_EXPIRY, KnownNodes

OWN, OTHER = "0" * 16, "1" * 16
EXPIRY_SECONDS = ANNOUNCEMENTS_TO_EXPIRY * ANNOUNCE_SECONDS


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_gateway_is_known_until_its_announcements_stop(clock: Clock) -> None:
    nodes = KnownNodes(OWN, clock)
    assert nodes.announced(OTHER, "there:1")
    assert not nodes.announced(OTHER, "there:2")
    assert (list(nodes), nodes.name(OTHER)) == ([OTHER], "there:2")
    for _ in range(20):
        clock.now += ANNOUNCE_SECONDS
        assert OTHER in nodes
        assert not nodes.announced(OTHER, "there:2")
    clock.now += EXPIRY_SECONDS - 0.1
    assert OTHER in nodes
    clock.now += 0.1
    assert OTHER not in nodes
    assert (len(nodes), nodes.name(OTHER)) == (0, OTHER)
    assert nodes.announced(OTHER, "there:2"), "it is a newcomer again"


def test_a_gateway_that_leaves_is_forgotten_at_once(clock: Clock) -> None:
    nodes = KnownNodes(OWN, clock)
    nodes.announced(OTHER, "there:1")
    nodes.left(OTHER)
    nodes.left(OTHER)
    assert list(nodes) == []


def test_the_table_is_settled_when_this_gateway_has_heard_the_bus_for_two_intervals(clock: Clock) -> None:
    nodes = KnownNodes(OWN, clock)
    nodes.announced(OTHER, "there:1")
    clock.now += 100
    assert not nodes.settled, "it has heard nothing from itself, so perhaps nothing from others"
    nodes.announced(OWN, "here:1")
    for settled in (False, False, True, True):
        assert nodes.settled is settled
        clock.now += ANNOUNCE_SECONDS
        nodes.announced(OWN, "here:1")
    clock.now += EXPIRY_SECONDS
    assert not nodes.settled, "the bus was silent for so long that the others have expired, too"
    nodes.announced(OWN, "here:1")
    assert not nodes.settled


def test_more_gateways_than_have_room_are_refused_and_unsettle_the_table(clock: Clock) -> None:
    nodes = KnownNodes(OWN, clock, max_nodes=2)
    for uid in (OTHER, "2" * 16, OWN):
        nodes.announced(uid, "host:1")
    clock.now += 2 * ANNOUNCE_SECONDS
    assert nodes.settled
    with pytest.raises(ControlMessageError, match="more than 2 gateways"):
        nodes.announced("3" * 16, "host:1")
    assert sorted(nodes) == [OWN, OTHER, "2" * 16], "this gateway itself always has room"
    assert not nodes.settled
    nodes.announced(OWN, "host:1")
    clock.now += EXPIRY_SECONDS - 0.1
    nodes.announced(OWN, "host:1")
    assert not nodes.settled
    clock.now += 0.1
    assert nodes.settled, "no gateway was refused for so long that all have announced themselves since"
    nodes.announced("3" * 16, "host:1")
    assert "3" * 16 in nodes


STEPS = st.one_of(
    st.tuples(st.just("announced"), st.integers(0, 6)),
    st.tuples(st.just("left"), st.integers(0, 6)),
    st.tuples(st.just("passed"), st.floats(0, 2 * EXPIRY_SECONDS)),
)


@given(st.lists(STEPS, max_size=60))
def test_a_gateway_is_in_the_table_if_and_only_if_it_was_heard_lately(steps: list[tuple[str, float]]) -> None:
    """Whatever comes in which order, and the table never has more than it has room for."""
    clock = Clock()
    nodes = KnownNodes(OWN, clock, max_nodes=4)
    heard_at: dict[str, float] = {}

    def expected() -> list[str]:
        return [uid for uid, at in heard_at.items() if clock.now - at < EXPIRY_SECONDS]

    for step, value in steps:
        uid = f"{int(value):016x}"
        if step == "passed":
            clock.now += value
        elif step == "left":
            nodes.left(uid)
            heard_at.pop(uid, None)
        else:
            known = expected()
            room = uid == OWN or uid in known or len(known) < 4
            try:
                assert nodes.announced(uid, "host:1") == (uid not in known)
                assert room
                heard_at[uid] = clock.now
            except ControlMessageError:
                assert not room
        assert sorted(nodes) == sorted(expected())
        assert len(nodes) <= 5
        assert not nodes.settled or OWN in nodes

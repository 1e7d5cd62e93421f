"""What the bus is told of one channel: as little as is needed, and in the end the truth, whatever fails."""

from __future__ import annotations

import pytest

from relay.brokers.presence import NOTHING, PresenceChange, Tally
from relay.member import Member
from relay.presence import channel_presence as module
from relay.presence.channel_presence import ChannelPresence

ANN = Member("a1", "ann")
ANN_AGAIN = Member("a2", "ann")
GUEST = Member("g1")


def told(table: ChannelPresence) -> PresenceChange:
    """Return what the bus is told now; it gets it."""
    change = table.take()
    lasting = table._users.keys() - table._new.keys() | table._gone.keys()
    table.settle(Tally(len(table.members), len(lasting)), dead=False)
    return change


def table_of(*members: Member) -> ChannelPresence:
    """Return a channel with these clients, of which the bus knows."""
    table = ChannelPresence("c", 0.0, events=True)
    for member in members:
        table.come(member)
    told(table)
    assert not table.changed
    return table


def test_a_user_comes_with_the_first_client_and_goes_when_it_has_lingered() -> None:
    table = ChannelPresence("c", 0.0, events=True)
    table.come(ANN)
    assert told(table) == PresenceChange("c", [ANN], [], {ANN.name: ANN})
    table.come(ANN_AGAIN)
    assert told(table) == PresenceChange("c", [ANN_AGAIN], [])
    assert table.go("a1") is None
    assert table.go("a2") == ANN_AGAIN
    assert told(table) == PresenceChange("c", [], ["a1", "a2"])
    assert not table.over
    table.end(ANN.name)
    assert told(table) == PresenceChange("c", [], [], {}, {ANN.name: ANN_AGAIN})
    assert table.over


def test_a_client_that_is_not_to_be_told_is_a_member_and_no_user() -> None:
    table = ChannelPresence("c", 0.0, events=True)
    table.come(GUEST, told=False)
    assert told(table) == PresenceChange("c", [GUEST], [])
    assert table.go("g1") is None
    assert told(table) == PresenceChange("c", [], ["g1"])
    assert table.over


def test_who_comes_back_while_it_lingers_is_no_news() -> None:
    table = table_of(ANN)
    table.go("a1")
    table.come(ANN_AGAIN)
    table.end(ANN.name)
    assert told(table) == PresenceChange("c", [ANN_AGAIN], ["a1"])


def test_what_comes_and_goes_between_two_tellings_is_not_told() -> None:
    table = ChannelPresence("c", 0.0, events=True)
    table.come(GUEST)
    assert table.go("g1") == GUEST
    table.end(GUEST.name)
    assert table.over
    table = table_of(GUEST)
    table.go("g1")
    table.end(GUEST.name)
    table.come(GUEST)
    assert told(table) == PresenceChange("c", [GUEST], [])


def test_a_client_that_shows_something_else_is_told_again_and_goes_once() -> None:
    table = table_of(ANN)
    other = Member("a1", "ann", ANN.info)
    table.come(other)
    assert told(table) == PresenceChange("c", [other], [])
    table.come(ANN)
    table.go("a1")
    assert told(table) == PresenceChange("c", [], ["a1"])


def test_who_is_not_here_does_not_go() -> None:
    table = table_of(ANN)
    assert table.go("a2") is None
    table.end(ANN.name)
    table.end("user:bob")
    assert not table.changed


def test_what_has_failed_is_told_again_with_what_came_since() -> None:
    table = table_of(ANN, GUEST)
    table.go("g1")
    table.end(GUEST.name)
    bob = Member("b1", "bob")
    table.come(bob)
    table.take()
    table.come(ANN_AGAIN)
    table.go("b1")
    table.end(bob.name)
    table.fail()
    assert table.check(Tally(99, 99), dead=False), "it isn't known what the bus has"
    assert told(table) == PresenceChange("c", [ANN_AGAIN], ["b1", "g1"], {}, {bob.name: bob, GUEST.name: GUEST})


def test_a_user_who_comes_back_while_its_going_fails_is_told_as_one_who_comes() -> None:
    """If the bus has got that it has gone, others were told."""
    table = table_of(GUEST, ANN)
    table.go("g1")
    table.end(GUEST.name)
    table.take()
    table.come(GUEST)
    table.fail()
    assert told(table) == PresenceChange("c", [GUEST], [], {GUEST.name: GUEST})


def test_what_the_bus_has_lost_is_restored_and_what_is_new_is_told_behind_it() -> None:
    table = table_of(ANN, GUEST)
    assert table.check(Tally(2, 2), dead=False)
    table.come(bob := Member("b1", "bob"))
    table.go("g1")
    table.end(GUEST.name)
    assert not table.check(Tally(0, 0), dead=False)
    whole = PresenceChange("c", [ANN, bob], users={ANN.name: ANN, GUEST.name: GUEST}, whole=True)
    assert told(table) == whole
    assert told(table) == PresenceChange("c", [], [], {bob.name: bob}, {GUEST.name: GUEST})
    assert not table.changed


def test_users_of_a_gateway_that_was_taken_for_dead_come_again() -> None:
    table = table_of(ANN, GUEST)
    table.go("a1")
    assert not table.check(Tally(0, 0), dead=True)
    assert table.check(Tally(0, 0), dead=False), "it is known already"
    assert told(table) == PresenceChange("c", [GUEST], ["a1"], {ANN.name: ANN, GUEST.name: GUEST})


def test_a_loss_is_noticed_while_a_user_lingers_who_is_no_member() -> None:
    table = table_of(ANN)
    table.go("a1")
    told(table)
    assert table.check(Tally(0, 1), dead=False)
    assert not table.check(NOTHING, dead=False)
    assert told(table) == PresenceChange("c", [], users={ANN.name: ANN}, whole=True)


def test_where_no_events_tell_of_users_the_bus_has_none() -> None:
    table = ChannelPresence("c", 0.0, events=False)
    table.come(ANN)
    table.take()
    assert table.settle(Tally(1, 0), dead=False)
    assert table.check(Tally(1, 0), dead=False)


def test_a_whole_change_that_fails_stays_due() -> None:
    table = table_of(ANN)
    table.check(Tally(0, 0), dead=False)
    table.take()
    table.fail()
    assert table.take().whole
    assert not table.settle(Tally(3, 3), dead=False), "the bus has clients that it was never told of"
    assert table.take().whole


def test_the_weight_is_what_is_to_be_told() -> None:
    table = table_of(ANN)
    assert (table.weight, table.changed) == (0, False)
    table.come(GUEST)
    assert table.weight == 2
    table.check(Tally(0, 0), dead=False)
    assert table.weight == 4


def test_what_came_and_went_while_the_bus_failed_is_forgotten_when_it_is_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_GONE", 50)
    table = table_of(ANN)
    kept = []
    for number in range(100):
        for client in range(10):
            table.come(Member(f"{number}-{client}"))
        table.take()
        for client in range(10):
            table.go(f"{number}-{client}")
            table.end(f"client:{number}-{client}")
        kept.append(table.fail())
        assert table.weight <= 200
        assert max(len(table._left), len(table._gone), len(table._unsure)) <= 100
    assert kept.count(False) == 1, "what is told whole needs to know no more"
    assert told(table) == PresenceChange("c", [ANN], users={ANN.name: ANN}, whole=True)
    assert not table.changed

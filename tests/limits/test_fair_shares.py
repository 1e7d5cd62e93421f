"""Sharing something out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.limits.fair_shares import NO_NAMES, FairShares, Names


def taken_by(shares: FairShares, *names: str) -> int:
    """Take one after the other under some names; return how many there were."""
    count = 0
    while shares.take(names, 1):
        count += 1
    return count


def test_each_may_have_as_much_as_is_left_for_the_others() -> None:
    shares = FairShares(32)
    assert [taken_by(shares, name) for name in "ab"] == [16, 8]


def test_the_last_quarter_is_for_names_that_have_none() -> None:
    """So no six names have it all: see SECURITY.md."""
    shares = FairShares(32)
    assert [taken_by(shares, name) for name in "abcdefghijk"] == [16, 8] + 8 * [1] + [0]
    shares.give_back(("a",), 1)
    assert [taken_by(shares, name) for name in "abck"] == [0, 0, 0, 1]


def test_who_shares_a_name_with_one_that_has_some_is_no_newcomer() -> None:
    """One user and one address could have any number of clients."""
    shares = FairShares(32)
    assert [taken_by(shares, name) for name in "ab"] == [16, 8]
    assert [taken_by(shares, name, "user") for name in "cde"] == [1, 0, 0]
    assert taken_by(shares, "f", "another") == 1


def test_a_single_one_can_be_had() -> None:
    shares = FairShares(1)
    assert taken_by(shares, "a") == 1
    assert taken_by(shares, "b") == 0
    shares.give_back(("a",), 1)
    assert taken_by(shares, "b") == 1


def test_a_neighbour_is_left_something() -> None:
    """And who has another address, too, whatever the neighbours do together."""
    shares = FairShares(32)
    assert [taken_by(shares, name, "network") for name in "abc"] == [16, 6, 0]
    assert taken_by(shares, "d") == 2


def test_one_alone_may_have_more_than_there_is() -> None:
    """A single large thing must not be impossible."""
    shares = FairShares(100)
    assert shares.take(("a",), 101)
    assert not shares.take(("b",), 1)
    shares.give_back(("a",), 101)
    assert shares.take(("b",), 1)
    assert not shares.take(("c",), 100)


def test_who_counts_under_no_name_gets_what_is_left() -> None:
    shares = FairShares(10)
    assert taken_by(shares) == 10


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "x"]), st.integers(1, 30))))
def test_nothing_is_ever_taken_that_is_not_there_and_nothing_kept(wanted: list[tuple[str, str, int]]) -> None:
    shares, got = FairShares(50), []
    for client, address, amount in wanted:
        names: Names = (client, address) if address else (client,)
        if shares.take(names, amount):
            got.append((names, amount))
    assert shares.left == 50 - sum(amount for _, amount in got)
    assert shares.left >= 0
    for names, amount in got:
        shares.give_back(names, amount)
    assert (shares.left, len(shares)) == (50, 0)
    assert shares.take(NO_NAMES, 50)

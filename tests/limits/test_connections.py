"""Numbers of clients by address and by user, and the rate of new ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import Refused
from relay.limits.address import PerAddress
from relay.limits.address_rate import AddressRate
from relay.limits.connections import ConnectionLimits
from relay.limits.limit import Limit
from relay.limits.rate import Rate
from relay.metrics.counters import Counters
from tests.limits.clock import Clock


def limits(
    per_address: int = 0,
    per_user: int = 0,
    new: Rate | None = None,
    clock: Clock | None = None,
    new_per_address: int = 0,
) -> ConnectionLimits:
    """Return limits of all addresses, private ones included."""
    counters, clock = Counters(), clock or Clock()
    share = AddressRate(Limit.NEW_ADDRESS_CONNECTIONS, PerAddress(new_per_address, False), 1.0, counters, clock)
    return ConnectionLimits(PerAddress(per_address, False), per_user, new, share, counters, clock)


def test_an_address_has_so_many_clients_and_no_more() -> None:
    connections = limits(per_address=2)
    first = connections.enter("192.0.2.1")
    connections.enter("192.0.2.1")
    with pytest.raises(Refused) as refused:
        connections.enter("192.0.2.1")
    assert (refused.value.status, refused.value.cause) == (429, "connections_per_address")
    assert 5 <= int(refused.value.headers["Retry-After"]) <= 15
    connections.enter("192.0.2.2")
    connections.leave(first, None)
    connections.enter("192.0.2.1")


def test_all_addresses_of_a_customer_count_as_one() -> None:
    connections = limits(per_address=1)
    connections.enter("2001:db8::1")
    with pytest.raises(Refused):
        connections.enter("2001:db8::2")
    connections.enter("2001:db8:0:1::1")


def test_a_user_has_so_many_clients_and_no_more_from_wherever_they_come() -> None:
    connections = limits(per_user=2)
    connections.enter_user("ann", "192.0.2.1")
    connections.enter_user("ann", "192.0.2.2")
    with pytest.raises(Refused) as refused:
        connections.enter_user("ann", "192.0.2.3")
    assert (refused.value.status, refused.value.cause) == (429, "connections_per_user")
    connections.enter_user("bob", "192.0.2.3")
    connections.leave("", "ann")
    connections.enter_user("ann", "192.0.2.3")


def test_clients_without_a_name_are_no_user() -> None:
    connections = limits(per_user=1)
    for _ in range(10):
        connections.enter_user(None, "192.0.2.1")
    assert len(connections) == 0


def test_without_limits_nothing_is_kept() -> None:
    connections = limits()
    for number in range(10):
        assert connections.enter(f"192.0.2.{number}") == ""
        connections.enter_user("ann", "")
    assert len(connections) == 0
    connections.leave("", "ann")


def test_new_clients_beyond_the_rate_are_refused_with_503() -> None:
    clock = Clock()
    connections = limits(new=Rate(10, 20), clock=clock)
    for _ in range(20):
        connections.check_new("192.0.2.1")
    with pytest.raises(Refused) as refused:
        connections.check_new("192.0.2.1")
    assert (refused.value.status, refused.value.cause) == (503, "new_connections")
    clock.now += 0.11
    connections.check_new("192.0.2.1")


def test_one_address_has_its_share_of_new_clients_and_leaves_the_rest_to_others() -> None:
    connections = limits(new=Rate(10, 20), new_per_address=5)
    for _ in range(5):
        connections.check_new("192.0.2.1")
    for _ in range(50):
        with pytest.raises(Refused) as refused:
            connections.check_new("192.0.2.1")
        assert (refused.value.status, refused.value.cause) == (429, "new_connections_per_address")
    for number in range(15):
        connections.check_new(f"192.0.2.{number + 2}")


def test_a_client_that_is_refused_as_too_many_come_uses_up_nothing_of_its_share() -> None:
    clock = Clock()
    connections = limits(new=Rate(10, 5), clock=clock, new_per_address=5)
    for number in range(5):
        connections.check_new(f"192.0.2.{number + 2}")
    for _ in range(10):
        with pytest.raises(Refused) as refused:
            connections.check_new("192.0.2.1")
        assert refused.value.status == 503
    clock.now += 0.5
    for _ in range(5):
        connections.check_new("192.0.2.1")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "ann", "bob"]), st.booleans()), max_size=60))
def test_whoever_comes_and_goes_the_tables_are_empty_in_the_end(steps: list[tuple[str, str | None, bool]]) -> None:
    connections = limits(per_address=3, per_user=2)
    inside: list[tuple[str, str | None]] = []
    for address, user, goes in steps:
        if goes and inside:
            connections.leave(*inside.pop(0))
            continue
        try:
            network = connections.enter(address)
        except Refused:
            continue
        try:
            connections.enter_user(user, address)
        except Refused:
            connections.leave(network, None)
            continue
        inside.append((network, user))
    for network, user in inside:
        connections.leave(network, user)
    assert len(connections) == 0

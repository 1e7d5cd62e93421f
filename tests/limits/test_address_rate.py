"""Rates of addresses, and the table in which they stand."""

from __future__ import annotations

import pytest

from relay.errors import Refused
from relay.limits.address import PerAddress
from relay.limits.address_rate import AddressRate
from relay.limits.limit import Limit
from relay.metrics.counters import Counters
from tests.limits.clock import Clock


class Rates:
    """At most 4 events a second from one address, and 4 at once; addresses of 3 are counted at a time."""

    def __init__(self, most: int = 4) -> None:
        self.clock = Clock()
        self.counters = Counters()
        per_address = PerAddress(most, public_only=False)
        self.rate = AddressRate(Limit.PUBLISHES, per_address, 1.0, self.counters, self.clock, most_addresses=3)

    def take(self, address: str, times: int = 1) -> None:
        for _ in range(times):
            self.rate.take(address)


def test_an_address_beyond_its_rate_is_refused_and_told_when_to_come_again() -> None:
    rates = Rates()
    rates.take("192.0.2.1", 4)
    with pytest.raises(Refused) as refused:
        rates.take("192.0.2.1")
    assert refused.value.status == 429
    assert refused.value.cause == "publishes"
    assert refused.value.headers == {"Retry-After": "1"}
    assert rates.counters.limits_reached == {"publishes": 1}
    rates.take("192.0.2.2", 4)
    rates.clock.now += 0.25
    rates.take("192.0.2.1")
    with pytest.raises(Refused):
        rates.take("192.0.2.1")


def test_what_is_refused_does_not_count() -> None:
    """Else an address that goes on asking would be refused for ever."""
    rates = Rates()
    rates.take("192.0.2.1", 4)
    for _ in range(100):
        with pytest.raises(Refused):
            rates.take("192.0.2.1")
    rates.clock.now += 1.0
    rates.take("192.0.2.1", 4)


def test_all_addresses_of_a_customer_count_as_one() -> None:
    rates = Rates()
    for number in range(4):
        rates.take(f"2001:db8::{number}")
    with pytest.raises(Refused):
        rates.take("2001:db8::ffff")
    rates.take("2001:db8:0:1::1")


def test_an_address_that_was_quiet_for_long_enough_is_forgotten() -> None:
    rates = Rates()
    rates.take("192.0.2.1", 4)
    rates.clock.now += 1.0
    rates.take("192.0.2.2")
    assert len(rates.rate) == 1
    assert rates.counters.limits_reached == {}


def test_a_full_table_forgets_the_address_that_was_quiet_for_longest_and_counts_that() -> None:
    """So one that goes on and on stays counted, however many others come."""
    rates = Rates()
    rates.take("192.0.2.1", 4)
    for number in range(2, 50):
        rates.take(f"192.0.2.{number}", 2)
        rates.clock.now += 0.001
        with pytest.raises(Refused):
            rates.take("192.0.2.1")
        rates.rate.add("192.0.2.1")
    assert len(rates.rate) == 3
    assert rates.counters.limits_reached["addresses"] == 46


def test_a_rate_of_0_is_no_limit_and_keeps_nothing() -> None:
    rates = Rates(most=0)
    rates.take("192.0.2.1", 1000)
    assert len(rates.rate) == 0


def test_what_is_undecided_counts_until_it_is_decided() -> None:
    rates = Rates()
    rates.take("192.0.2.1", 2)
    for _ in range(2):
        rates.rate.hold("192.0.2.1")
    with pytest.raises(Refused):
        rates.rate.check("192.0.2.1")
    rates.rate.check("192.0.2.2")
    rates.clock.now += 0.25
    rates.rate.check("192.0.2.1")
    for _ in range(2):
        rates.rate.release("192.0.2.1")
    rates.take("192.0.2.1", 3)
    with pytest.raises(Refused):
        rates.take("192.0.2.1")
    rates.clock.now += 10.0
    rates.take("192.0.2.2")
    assert not rates.rate._undecided


def test_several_events_may_come_together() -> None:
    """All of them count; one that was too large keeps later ones out for longer."""
    rates = Rates()
    rates.rate.take("192.0.2.1", 3)
    rates.rate.take("192.0.2.1", 5)
    with pytest.raises(Refused) as refused:
        rates.take("192.0.2.1")
    assert refused.value.headers == {"Retry-After": "2"}
    rates.clock.now += 1.25
    rates.take("192.0.2.1")

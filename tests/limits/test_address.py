"""What is counted as one address."""

from __future__ import annotations

import pytest

from relay.limits.address import PerAddress, is_public, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("a socket file", "a socket file"),
    ],
)
def test_an_ipv6_address_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4001:82a::200e", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.17.0.1", "100.64.0.1", "::1", "fd00::1", "fe80::1%eth0", ""],
)
def test_an_address_of_a_private_network_or_of_this_machine_is_not(address: str) -> None:
    assert not is_public(address)


def test_a_limit_that_is_not_set_is_one_of_public_addresses() -> None:
    """A balancer that RELAY_TRUSTED_PROXIES doesn't name would look like one client: it has a private address."""
    limit = PerAddress.of(None, 7)
    assert (limit.most, limit.key("8.8.8.8"), limit.key("10.0.0.1")) == (7, "8.8.8.8", "")


def test_a_limit_that_is_set_is_one_of_all_addresses() -> None:
    limit = PerAddress.of(3, 7)
    assert (limit.most, limit.key("8.8.8.8"), limit.key("10.0.0.1")) == (3, "8.8.8.8", "10.0.0.1")
    assert limit.key("2a00:1450:4001:82a::200e") == "2a00:1450:4001:82a::/64"


def test_a_limit_of_0_is_none() -> None:
    assert PerAddress.of(0, 7).key("8.8.8.8") == ""


def test_a_client_without_an_address_is_not_limited_by_it() -> None:
    assert PerAddress.of(3, 7).key("") == ""

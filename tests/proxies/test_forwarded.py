"""Whose word about a client's address counts."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import Refused
from relay.proxies.forwarded import TrustedProxies, read_address

PROXIES = TrustedProxies(["10.0.0.0/8", "127.0.0.1", "2001:db8:aaaa::/48"])
PEER = "10.0.0.1"


def said(*values: str, peer: str = PEER) -> str:
    """Return what is believed of `X-Forwarded-For`."""
    return PROXIES.client_address(peer, values, [])


def said_by_rfc(*values: str, peer: str = PEER) -> str:
    """Return what is believed of `Forwarded`."""
    return PROXIES.client_address(peer, [], values)


def test_no_proxy_is_trusted_by_default() -> None:
    without = TrustedProxies()
    assert not without
    assert not without.trust("127.0.0.1")
    assert without.client_address("127.0.0.1", ["192.0.2.1"], ["for=192.0.2.1"]) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("2001:db8:aaaa::5", True),
        ("2001:db8:bbbb::5", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8:aaaa::5%eth0", True),
        ("", False),
        ("proxy.example", False),
    ],
)
def test_addresses_and_networks(address: str, trusted: bool) -> None:
    assert PROXIES.trust(address) is trusted


def test_a_stranger_is_not_believed() -> None:
    assert said("192.0.2.1", peer="198.51.100.7") == "198.51.100.7"
    assert said_by_rfc("for=192.0.2.1", peer="198.51.100.7") == "198.51.100.7"
    assert said("192.0.2.1", peer="") == ""


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        ([" 192.0.2.1 , 10.0.0.2"], "192.0.2.1"),
        (["192.0.2.1, 10.0.0.2", "10.0.0.3"], "192.0.2.1"),
        # What the client made up stands to the left of its own address.
        (["6.6.6.6, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (["rubbish, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        (["192.0.2.1:4711"], "192.0.2.1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:DB8::1]:4711"], "2001:db8::1"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
        ([], PEER),
        ([""], PEER),
    ],
)
def test_the_last_address_that_is_no_proxy_counts(values: list[str], client: str) -> None:
    assert said(*values) == client


@pytest.mark.parametrize(
    "value",
    ["192.0.2.1, rubbish", "192.0.2.1, ", "192.0.2.1 10.0.0.2", "192.0.2.256", "fe80::1%eth0", "192.0.2.1:", "a\x00"],
)
def test_a_malformed_end_is_refused(value: str) -> None:
    """The proxy's own address, which is often free of limits, must not be what a client can have instead of its own."""
    with pytest.raises(Refused) as refused:
        said(value)
    assert (refused.value.status, refused.value.reason) == (400, "X-Forwarded-For is malformed")


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["for=192.0.2.1"], "192.0.2.1"),
        (["For=192.0.2.1;proto=https;by=10.0.0.1"], "192.0.2.1"),
        (['for="192.0.2.1:4711"'], "192.0.2.1"),
        (['for="[2001:db8::1]:4711";host="a,b;c\\"d"'], "2001:db8::1"),
        (["for=6.6.6.6, for=192.0.2.1", "for=10.0.0.2"], "192.0.2.1"),
        ([' for=192.0.2.1 , for="10.0.0.2"'], "192.0.2.1"),
        # A proxy that doesn't tell: then the last that does.
        (["for=192.0.2.1, for=unknown"], PEER),
        (["for=192.0.2.1, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        (["for=192.0.2.1, proto=https"], PEER),
    ],
)
def test_rfc_7239(values: list[str], client: str) -> None:
    assert said_by_rfc(*values) == client


@pytest.mark.parametrize(
    "value",
    [
        "192.0.2.1",
        "for=192.0.2.1,",
        "for=192.0.2.1;",
        "for=192.0.2.1;for=192.0.2.2",
        "for =192.0.2.1",
        'for="192.0.2.1',
        # A quote that the client opened must not swallow what a proxy has added.
        'for=6.6.6.6;a="x, for=192.0.2.1',
        'for=6.6.6.6;a=", for="[2001:db8::1]"',
        "for=[2001:db8::1]",
    ],
)
def test_malformed_by_rfc_7239(value: str) -> None:
    with pytest.raises(Refused) as refused:
        said_by_rfc(value)
    assert (refused.value.status, refused.value.reason) == (400, "Forwarded is malformed")


def test_two_headers_must_agree() -> None:
    """A proxy that knows one of them lets through what the client has sent as the other."""
    assert PROXIES.client_address(PEER, ["192.0.2.1"], ["for=192.0.2.1"]) == "192.0.2.1"
    for forwarded, reason in (
        ("for=6.6.6.6", "Forwarded and X-Forwarded-For name different clients: a proxy must set both, or drop one"),
        ("for=unknown", "Forwarded and X-Forwarded-For name different clients: a proxy must set both, or drop one"),
        ("rubbish", "Forwarded is malformed"),
    ):
        with pytest.raises(Refused) as refused:
            PROXIES.client_address(PEER, ["192.0.2.1"], [forwarded])
        assert (refused.value.status, refused.value.reason) == (400, reason)


def test_what_a_stranger_sends_is_not_looked_at() -> None:
    assert PROXIES.client_address("198.51.100.7", ["192.0.2.1"], ["rubbish"]) == "198.51.100.7"


@given(st.lists(st.text(max_size=60), max_size=3), st.lists(st.text(max_size=60), max_size=3))
@example(["192.0.2.1, \ud800"], ["for=\ud800"])
def test_anything_gives_an_address_or_is_refused(x_forwarded_for: list[str], forwarded: list[str]) -> None:
    with suppress(Refused):
        assert ipaddress.ip_address(PROXIES.client_address(PEER, x_forwarded_for, forwarded))


@given(st.text(alphabet='for=by;, "\\[]:_.0129abunkw', max_size=60))
def test_anything_that_looks_like_the_header_gives_an_address_or_is_refused(value: str) -> None:
    for read in (said, said_by_rfc):
        with suppress(Refused):
            assert ipaddress.ip_address(read(value))


@given(st.text(max_size=60), st.ip_addresses().filter(lambda address: not PROXIES.trust(str(address))))
def test_a_client_can_not_choose_its_address(made_up: str, real: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Whatever it sends: a proxy adds the true one."""
    assert said(made_up, str(real)) == str(read_address(str(real)))
    with suppress(Refused):  # a quote that it has opened, and the like
        found = said_by_rfc(made_up, f'for="[{real}]"' if real.version == 6 else f"for={real}")
        assert found == str(read_address(str(real)))

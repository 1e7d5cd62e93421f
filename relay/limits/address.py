"""What is counted as one address, and whether it is counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from typing import Final, Self

from relay.proxies.forwarded import read_address

IPV6_NETWORK_BITS = 64
"""What a provider gives to one customer: any address in it is the same customer's (RFC 6177)."""

_REMEMBERED = 4096
"""Addresses of which it is remembered what they are: reading one takes 5 µs."""


@lru_cache(_REMEMBERED)
def network_of(address: str) -> str:
    """Return what is counted as one client's address: an IPv4 address, or the /64 network of an IPv6 one.

    Args:
        address: as `request.remote` has it; "" when there is none, as with a Unix socket.
    """
    found = read_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        return str(ip_network((found, IPV6_NETWORK_BITS), strict=False))
    return address if found is None else str(found)


@lru_cache(_REMEMBERED)
def is_public(address: str) -> bool:
    """Return whether an address is one of the internet, and not of a private network or of this machine."""
    found = read_address(address.partition("%")[0])
    return found is not None and found.is_global


@dataclass(frozen=True, slots=True)
class PerAddress:
    """How much one address may take.

    Args:
        most: how much; 0: any amount.
        public_only: whether addresses of private networks and of this machine may take any amount. So it is unless an
            operator has set a number: a load balancer that RELAY_TRUSTED_PROXIES doesn't name looks like one client.
    """

    most: int
    public_only: bool

    @classmethod
    def of(cls, setting: int | None, default: int) -> Self:
        """Return what a setting means.

        Args:
            setting: None: not set; 0: any amount.
            default: for public addresses, when it isn't set.
        """
        return cls(default, True) if setting is None else cls(setting, False)

    def key(self, address: str) -> str:
        """Return what an address is counted as; empty when it may take any amount."""
        if not self.most or not address or (self.public_only and not is_public(address)):
            return ""
        return network_of(address)


PUBLIC_ADDRESSES: Final = PerAddress(1, public_only=True)
"""Counts public addresses, whatever an operator has set: where the amount isn't one of an address, but a share of what
all have, a balancer that no setting names must not have the share of one client."""

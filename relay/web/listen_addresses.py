"""Resolves RELAY_HOST to the addresses of this machine to listen on, and binds sockets to them."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from relay.proxies.forwarded import read_address

# No such address; no such address family; a link-local address of a network card that the address does not name.
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)

PORT_ATTEMPTS: Final = 16
"""How many free ports are tried for several addresses. Few of the kernel's 28,000 are taken: the second attempt nearly
always succeeds."""


@dataclass(frozen=True, slots=True)
class ListenAddresses:
    """Addresses to listen on.

    Args:
        usable: pairs of address family and address, without duplicates.
        left_out: address → why it can't be used; its name has another address that can.
    """

    usable: list[tuple[int, str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def ipv6_only(self) -> bool:
        """Whether `::` is among them, and no IPv4 address: some systems would accept IPv4 on `::`, too."""
        return (socket.AF_INET6, "::") in self.usable and all(family != socket.AF_INET for family, _ in self.usable)


async def resolve_addresses(hosts: Iterable[str], port: int) -> ListenAddresses:
    """Return the addresses of some hosts.

    `localhost` often has an IPv6 address where IPv6 is switched off. Such an address of a name is left out, if the name
    has another one. An address that is given itself is never left out.

    Args:
        hosts: IP addresses and names.
        port: TCP port.

    Raises:
        OSError: a name is unknown, or none of its addresses can be used.
    """
    loop = asyncio.get_running_loop()
    found = ListenAddresses()
    for host in hosts:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        of_host = list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in infos))
        if read_address(host) is None:
            faults = {
                address: fault for family, address in of_host if (fault := _bind_error(family, address)) is not None
            }
            if len(faults) == len(of_host):
                fault = next(iter(faults.values()))
                tried = ", ".join(faults)
                raise OSError(fault.errno, f"can't listen on {host} ({tried}) port {port}: {fault.strerror}")
            found.left_out.update((address, fault.strerror or str(fault)) for address, fault in faults.items())
            of_host = [(family, address) for family, address in of_host if address not in faults]
        found.usable.extend(entry for entry in of_host if entry not in found.usable)
    return found


def bind_all(
    bind: Callable[[int, str, int], socket.socket],
    addresses: Sequence[tuple[int, str]],
    port: int,
    attempts: int = PORT_ATTEMPTS,
) -> tuple[list[socket.socket], int]:
    """Bind one socket to each address, all with the same port.

    Args:
        bind: takes an address family, an address and a port, and returns the bound socket.
        addresses: pairs of address family and address, without duplicates.
        port: TCP port; 0: one that is free on all addresses.
        attempts: how many free ports are tried if `port` is 0.

    Returns:
        The sockets, in the order of the addresses, and their port.

    Raises:
        OSError: an address can't be used, or its port is taken. No socket is left open.
    """
    bound: list[socket.socket] = []
    chosen = port
    try:
        for family, address in addresses:
            bound.append(bind(family, address, chosen))
            chosen = chosen or int(bound[0].getsockname()[1])
    except OSError as error:
        for sock in bound:
            sock.close()
        # The kernel chose a port that is free on the first address; another program may use it on the next one.
        if port or not bound or error.errno != errno.EADDRINUSE or attempts == 1:
            raise
        return bind_all(bind, addresses, port, attempts - 1)
    return bound, chosen


def _bind_error(family: int, address: str) -> OSError | None:
    """Return why an address can't be used on this machine, whatever the port; None: it can."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        return error
    return None

"""Limits of this machine that a load generator meets: open files and local ports, checked and if possible raised."""

from __future__ import annotations

import ipaddress
import math
import resource
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from relay.errors import RelayError

RESERVE: Final = 64
"""File descriptors that a process needs besides its connections."""

PORT_SHARE: Final = 0.9
"""Share of an address's local ports that a run may use: other programs need some, and some are in TIME_WAIT."""

_GOLDEN: Final = 0x9E3779B1
"""2**32 divided by the golden ratio."""

_PROC: Final = Path("/proc/sys/net/ipv4")
_DEFAULT_RANGE: Final = (49152, 65535)
"""Port range of systems without /proc, such as macOS."""


class LimitError(RelayError):
    """A limit of this machine is lower than the run needs.

    Args:
        what: what there is too little of, such as "open files".
        needed: number that the run needs.
        allowed: number that this machine has or allows.
        remedy: how to raise the limit, as a sentence without a full stop.
    """

    def __init__(self, what: str, needed: int, allowed: int, remedy: str) -> None:
        super().__init__(what, needed, allowed, remedy)
        self.what = what
        self.needed = needed
        self.allowed = allowed
        self.remedy = remedy

    def __str__(self) -> str:
        return f"too few {self.what}: {self.needed} needed, {self.allowed} there; {self.remedy}"


class SourceAddressError(RelayError):
    """A source address that can't be used.

    Args:
        address: as given.
        problem: why it can't.
    """

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(address, problem)
        self.address = address
        self.problem = problem

    def __str__(self) -> str:
        return f"source address {self.address}: {self.problem}"


class ConnectionLoad(NamedTuple):
    """The connections to one server.

    Args:
        address: IP address of the server.
        port: TCP port.
        connections: number of connections at the same time.
    """

    address: str
    port: int
    connections: int


@dataclass(frozen=True, slots=True)
class LocalPorts:
    """The ports that the kernel gives to outgoing connections of one source address.

    Args:
        count: number of ports.
        shared: whether one port can serve connections to several destinations.
    """

    count: int
    shared: bool

    @property
    def usable(self) -> int:
        """Number of ports that a run may use."""
        return int(self.count * PORT_SHARE)


def raise_descriptor_limit(connections: int, processes: int, option: str = "--workers") -> None:
    """Raise this process's limit of open files as far as needed; child processes inherit it.

    Args:
        connections: number of connections at the same time, distributed evenly over the processes.
        processes: number of processes that hold them.
        option: command-line option that sets the number of processes, for the error's remedy.

    Raises:
        LimitError: the hard limit is too low.
    """
    needed = math.ceil(connections / processes) + RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _reaches(soft, needed):
        return
    if _reaches(hard, needed):
        try:
            # Not every system accepts "unlimited" as a soft limit.
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else hard, hard))
            return
        except (ValueError, OSError):
            hard = soft
    raise LimitError("open files per process", needed, hard, _descriptor_remedy(connections, needed, hard, option))


def local_ports(folder: Path = _PROC) -> LocalPorts:
    """Return the local ports that the kernel's settings allow.

    Args:
        folder: Linux' IPv4 settings; other systems have none.
    """
    try:
        low, high = map(int, (folder / "ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        low, high = _DEFAULT_RANGE
        return LocalPorts(high - low + 1, shared=False)
    try:
        reserved = _within((folder / "ip_local_reserved_ports").read_text(), low, high)
    except (OSError, ValueError):
        reserved = 0
    return LocalPorts(high - low + 1 - reserved, shared=True)


def source_addresses(
    loads: Iterable[ConnectionLoad], given: Sequence[str] = (), ports: LocalPorts | None = None
) -> tuple[str, ...]:
    """Return the source addresses, to be used evenly for each server; empty: the system chooses.

    For servers on the loopback interface, every address of 127.0.0.0/8 is available without setup.

    Args:
        loads: connections to each server.
        given: addresses that the user has given.
        ports: local ports of each address; None: as the kernel's settings say.

    Raises:
        LimitError: there are too few local ports.
        SourceAddressError: an address can't be used.
    """
    ports = ports or local_ports()
    wanted: Counter[tuple[str, int]] = Counter()
    for address, port, connections in loads:
        wanted[address, port] += connections
    servers = [ipaddress.ip_address(address) for address, _ in wanted]
    busiest = max(wanted.values(), default=0) if ports.shared else wanted.total()
    needed = max(1, math.ceil(busiest / ports.usable))
    addresses = tuple(dict.fromkeys(given))
    if not addresses and needed > 1 and all(server.version == 4 and server.is_loopback for server in servers):
        addresses = tuple(str(ipaddress.IPv4Address("127.0.0.1") + number) for number in range(needed))
    for address in addresses:
        _check_source(address, servers)
    if max(1, len(addresses)) < needed:
        allowed = ports.usable * max(1, len(addresses))
        raise LimitError("local ports", busiest, allowed, _port_remedy(needed, len(wanted), ports))
    return addresses


def source_of(number: int, addresses: Sequence[str]) -> str | None:
    """Return the source address of a connection; None: the system chooses.

    However connections are distributed over servers, each server gets them evenly from all addresses.

    Args:
        number: number of the connection, from 0.
        addresses: from `source_addresses`.
    """
    if not addresses:
        return None
    # Multiples of the golden ratio: evenly spread over any stretch of numbers, and over every n-th of them.
    return addresses[(number * _GOLDEN % 2**32) * len(addresses) >> 32]


def _reaches(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed


def _descriptor_remedy(connections: int, needed: int, hard: int, option: str) -> str:
    raising = (
        f"raise the hard limit to {needed} (`ulimit -Hn {needed}` as root, LimitNOFILE={needed} of a systemd unit, "
        f"--ulimit nofile={needed} of docker run)"
    )
    room = hard - RESERVE
    return f"give {option} {math.ceil(connections / room)} or more, or {raising}" if room > 0 else raising


def _within(ranges: str, low: int, high: int) -> int:
    """Return how many ports of a list such as "8080,9000-9010" lie between low and high."""
    count = 0
    for part in filter(None, ranges.strip().split(",")):
        first, _, last = part.partition("-")
        count += max(0, min(int(last or first), high) - max(int(first), low) + 1)
    return count


def _check_source(address: str, servers: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    """Raise `SourceAddressError` unless this machine has the address and can reach the servers from it."""
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        raise SourceAddressError(address, "is not an IP address") from None
    for server in servers:
        if server.version != source.version:
            raise SourceAddressError(address, f"IPv{source.version} can't reach {server}")
        if source.is_loopback and not server.is_loopback:
            raise SourceAddressError(address, f"a loopback address can't reach {server}")
    family = socket.AF_INET6 if source.version == 6 else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            remedy = f"; on macOS: sudo ifconfig lo0 alias {address}" if source.is_loopback else ""
            raise SourceAddressError(address, f"this machine doesn't have it ({error.strerror}){remedy}") from None


def _port_remedy(needed: int, servers: int, ports: LocalPorts) -> str:
    """Return how to get `needed` times the ports of one address."""
    more = f"give --source-address {needed} times, each with another address of this machine"
    spread = f", or {needed * servers} addresses or ports of servers instead of {servers}" * ports.shared
    widening = ", or widen the range: sysctl -w net.ipv4.ip_local_port_range='1024 65535'" * ports.shared
    return more + spread + widening

"""What a load test may have of this machine: open files and local ports, checked and where possible raised."""

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
"""File descriptors of a process besides its connections."""

PORT_SHARE: Final = 0.9
"""Share of the local ports of an address that is used: others need some, and some are still in TIME_WAIT."""

_GOLDEN: Final = 0x9E3779B1
"""2**32 divided by the golden ratio."""

_PROC: Final = Path("/proc/sys/net/ipv4")
_ELSEWHERE: Final = (49152, 65535)
"""Port range where the kernel doesn't tell, such as on macOS."""


class LimitError(RelayError):
    """This machine does not allow what the run needs.

    Args:
        what: is too few, such as "open files".
        needed: number that the run needs.
        allowed: number that there is, or can be.
        remedy: how to get it, as a sentence without a full stop.
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
    """A source address that can't be connected from.

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


class Destination(NamedTuple):
    """Where connections go.

    Args:
        address: IP address of the server.
        port: TCP port.
        connections: at once.
    """

    address: str
    port: int
    connections: int


@dataclass(frozen=True, slots=True)
class LocalPorts:
    """Ports that the kernel hands out to outgoing connections of one source address.

    Args:
        count: of the ports.
        shared: whether one port can serve connections to several destinations.
    """

    count: int
    shared: bool

    @property
    def usable(self) -> int:
        """How many of them a run may use."""
        return int(self.count * PORT_SHARE)


def raise_descriptor_limit(connections: int, processes: int, option: str = "--workers") -> None:
    """Raise this process's limit of open files, which those that it starts inherit, as far as needed.

    Args:
        connections: at once, all processes together; evenly shared out.
        processes: that hold them.
        option: of the command line that says how many processes.

    Raises:
        LimitError: the hard limit is too low.
    """
    needed = math.ceil(connections / processes) + RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _reaches(soft, needed):
        return
    if _reaches(hard, needed):
        try:
            # A hard limit without end is none that can be set everywhere.
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else hard, hard))
            return
        except (ValueError, OSError):
            hard = soft
    raise LimitError("open files per process", needed, hard, _descriptor_remedy(connections, needed, hard, option))


def local_ports(folder: Path = _PROC) -> LocalPorts:
    """Return what the kernel says about local ports.

    Args:
        folder: of Linux' settings of IPv4; elsewhere it isn't there.
    """
    try:
        low, high = map(int, (folder / "ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        low, high = _ELSEWHERE
        return LocalPorts(high - low + 1, shared=False)
    try:
        reserved = _within((folder / "ip_local_reserved_ports").read_text(), low, high)
    except (OSError, ValueError):
        reserved = 0
    return LocalPorts(high - low + 1 - reserved, shared=True)


def source_addresses(
    destinations: Iterable[Destination], given: Sequence[str] = (), ports: LocalPorts | None = None
) -> tuple[str, ...]:
    """Return the addresses to connect from, to be used evenly with each destination; empty: the system chooses.

    For servers on the loopback interface, all of 127.0.0.0/8 can be had without asking.

    Args:
        destinations: all that the run connects to.
        given: addresses that the user wants to be used.
        ports: local ports of each address; None: as the kernel says.

    Raises:
        LimitError: the local ports don't suffice.
        SourceAddressError: an address can't be used.
    """
    ports = ports or local_ports()
    wanted: Counter[tuple[str, int]] = Counter()
    for address, port, connections in destinations:
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
    """Return the address to connect from; None: the system chooses.

    Whatever rule deals the connections out to servers, those of each server come evenly from all addresses.

    Args:
        number: of the connection, 0 and up.
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
    """Count the ports of a list such as "8080,9000-9010" from low to high."""
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


def _port_remedy(needed: int, destinations: int, ports: LocalPorts) -> str:
    """Say how to get the ports: `needed` times as many as one address has."""
    more = f"give --source-address {needed} times, each with another address of this machine"
    servers = f", or {needed * destinations} addresses or ports of servers instead of {destinations}" * ports.shared
    widening = ", or widen the range: sysctl -w net.ipv4.ip_local_port_range='1024 65535'" * ports.shared
    return more + servers + widening

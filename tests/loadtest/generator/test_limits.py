"""Open files and local ports: what suffices, what is raised, and what the error says."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.loadtest.generator.limits import (
    RESERVE,
    ConnectionLoad,
    LimitError,
    LocalPorts,
    SourceAddressError,
    local_ports,
    raise_descriptor_limit,
    source_addresses,
    source_of,
)

PORTS = LocalPorts(1000, shared=True)  # 900 of them are used


@pytest.fixture
def own_limit() -> Iterator[tuple[int, int]]:
    """Let a test change this process's soft limit of open files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_soft_limit_is_raised_and_inherited(own_limit: tuple[int, int]) -> None:
    """Workers are started afterwards."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, own_limit[1]))
    raise_descriptor_limit(connections=400, processes=2)
    child = subprocess.run(
        [sys.executable, "-c", "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(child.stdout) >= 200 + RESERVE


def test_a_soft_limit_that_suffices_stays(own_limit: tuple[int, int]) -> None:
    """Exactly enough is enough."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (200 + RESERVE, own_limit[1]))
    raise_descriptor_limit(connections=400, processes=2)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200 + RESERVE


def test_a_hard_limit_that_is_too_low_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many are needed, how many there are, and the ways to more."""
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1024, 20_000))
    with pytest.raises(LimitError) as caught:
        raise_descriptor_limit(connections=100_000, processes=2)
    assert (caught.value.needed, caught.value.allowed) == (50_064, 20_000)
    assert str(caught.value) == (
        "too few open files per process: 50064 needed, 20000 there; give --workers 6 or more, or raise the hard "
        "limit to 50064 (`ulimit -Hn 50064` as root, LimitNOFILE=50064 of a systemd unit, --ulimit nofile=50064 of "
        "docker run)"
    )
    # Six is enough, and no fewer: this is the smallest number that is.
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, _limits: None)
    raise_descriptor_limit(connections=100_000, processes=6)
    with pytest.raises(LimitError, match="--gateways 6 or more"):
        raise_descriptor_limit(connections=100_000, processes=5, option="--gateways")


def test_a_hard_limit_below_the_reserve_can_only_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of workers helps."""
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (RESERVE, RESERVE))
    with pytest.raises(LimitError, match=r"there; raise the hard limit to 65 "):
        raise_descriptor_limit(connections=1, processes=1)


def test_no_hard_limit_means_as_many_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A soft limit without end is refused on macOS."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: asked.append(limits))
    raise_descriptor_limit(connections=1000, processes=1)
    assert asked == [(1000 + RESERVE, resource.RLIM_INFINITY)]


def test_a_kernel_that_refuses_less_than_the_hard_limit_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS does above kern.maxfilesperproc."""

    def refuse(_kind: int, _limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(LimitError, match="100064 needed, 256 there; give --workers 521 or more"):
        raise_descriptor_limit(connections=100_000, processes=1)


def test_the_kernel_tells_its_ports(tmp_path: Path) -> None:
    """Without those that are reserved for servers."""
    (tmp_path / "ip_local_port_range").write_text("32768\t60999\n")
    assert local_ports(tmp_path) == LocalPorts(28_232, shared=True)
    (tmp_path / "ip_local_reserved_ports").write_text("\n")
    assert local_ports(tmp_path) == LocalPorts(28_232, shared=True)
    (tmp_path / "ip_local_reserved_ports").write_text("80,32000-32769,40000,60999-61005\n")
    assert local_ports(tmp_path) == LocalPorts(28_232 - 4, shared=True)


def test_where_the_kernel_does_not_tell_the_usual_range_is_taken(tmp_path: Path) -> None:
    """And each port serves one connection only."""
    assert local_ports(tmp_path) == LocalPorts(16_384, shared=False)


def test_the_range_of_this_machine_is_taken_by_default() -> None:
    """A connection more than it holds needs a second address."""
    room = local_ports().usable
    assert source_addresses([ConnectionLoad("127.0.0.1", 8000, room)]) == ()
    assert source_addresses([ConnectionLoad("127.0.0.1", 8000, room + 1)]) == ("127.0.0.1", "127.0.0.2")


@pytest.mark.parametrize(
    ("connections", "addresses"),
    [(0, 0), (900, 0), (901, 2), (1800, 2), (1801, 3), (90_000, 100)],
)
def test_loopback_servers_get_as_many_addresses_as_needed(connections: int, addresses: int) -> None:
    """Nine tenths of the ports of each are used."""
    found = source_addresses([ConnectionLoad("127.0.0.1", 8000, connections)], ports=PORTS)
    assert len(set(found)) == addresses


def test_each_server_has_the_ports_for_itself() -> None:
    """A port can be used once with each of them."""
    servers = [ConnectionLoad("127.0.0.1", port, 900) for port in (8000, 8001, 8002)]
    assert source_addresses(servers, ports=PORTS) == ()
    assert len(source_addresses(servers, ports=LocalPorts(1000, shared=False))) == 3
    # The same server twice is one server.
    assert len(source_addresses([servers[0], servers[0]], ports=PORTS)) == 2


def test_a_remote_server_needs_addresses_from_the_user() -> None:
    """With the number, and the other ways."""
    with pytest.raises(LimitError) as caught:
        source_addresses([ConnectionLoad("192.0.2.1", 80, 2000), ConnectionLoad("127.0.0.1", 80, 10)], ports=PORTS)
    assert str(caught.value) == (
        "too few local ports: 2000 needed, 900 there; give --source-address 3 times, each with another address of this "
        "machine, or 6 addresses or ports of servers instead of 2, or widen the range: "
        "sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
    )


def test_where_ports_serve_one_connection_more_servers_do_not_help() -> None:
    """So the error doesn't advise them, nor a setting that isn't there."""
    with pytest.raises(LimitError) as caught:
        source_addresses([ConnectionLoad("192.0.2.1", 80, 1000)], ports=LocalPorts(1000, shared=False))
    assert str(caught.value).endswith("; give --source-address 2 times, each with another address of this machine")


def test_given_addresses_are_used_once_each() -> None:
    """Even when fewer would do."""
    given = ["127.0.0.5", "127.0.0.6", "127.0.0.5"]
    assert source_addresses([ConnectionLoad("127.0.0.1", 80, 10)], given, PORTS) == ("127.0.0.5", "127.0.0.6")


def test_too_few_given_addresses_are_refused() -> None:
    """The user's choice is not added to."""
    with pytest.raises(LimitError, match="1000 needed, 900 there; give --source-address 2 times"):
        source_addresses([ConnectionLoad("127.0.0.1", 80, 1000)], ["127.0.0.5"], PORTS)


@pytest.mark.parametrize(
    ("source", "server", "problem"),
    [
        ("localhost", "127.0.0.1", "is not an IP address"),
        ("::1", "127.0.0.1", "IPv6 can't reach 127.0.0.1"),
        ("127.0.0.1", "192.0.2.1", "a loopback address can't reach 192.0.2.1"),
        ("192.0.2.9", "192.0.2.1", "this machine doesn't have it"),
        ("2001:db8::9", "2001:db8::1", "this machine doesn't have it"),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(source: str, server: str, problem: str) -> None:
    """Before thousands of connections fail."""
    with pytest.raises(SourceAddressError, match=f"source address {source}: {problem}"):
        source_addresses([ConnectionLoad(server, 80, 1)], [source], PORTS)


def test_a_loopback_address_that_is_not_set_up_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, which has 127.0.0.1 only."""

    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(49, "Can't assign requested address")

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(SourceAddressError, match=r"sudo ifconfig lo0 alias 127\.0\.0\.1"):
        source_addresses([ConnectionLoad("127.0.0.1", 80, 1000)], ports=PORTS)


@pytest.mark.parametrize(("servers", "sources"), [(1, 3), (2, 2), (2, 4), (3, 2), (4, 6)])
@pytest.mark.parametrize("channels", [1, 2, 10, 6000])
def test_every_server_is_reached_from_every_address_evenly(servers: int, sources: int, channels: int) -> None:
    """Also where the numbers have common divisors, and however connections are dealt out to servers."""
    addresses = [f"127.0.0.{number}" for number in range(sources)]
    count = 24_000
    simply = [number % servers for number in range(count)]
    across_channels = [(number // channels + number % channels) % servers for number in range(count)]
    for dealt in (simply, across_channels):
        pairs = Counter((server, source_of(number, addresses)) for number, server in enumerate(dealt))
        assert len(pairs) == servers * sources
        assert max(pairs.values()) < 1.02 * count / servers / sources


def test_without_addresses_the_system_chooses() -> None:
    """None is what sockets take for that."""
    assert source_of(7, ()) is None

"""On which addresses a gateway listens."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import closing
from typing import Any

import pytest

from relay.gateway import Gateway
from relay.settings import Settings
from relay.web.listen_addresses import PORT_ATTEMPTS, bind_all, resolve_addresses
from relay.workers.supervisor import Supervisor
from tests.harness.free_port import free_port
from tests.harness.http_response import get

ELSEWHERE = "203.0.113.7"
"""An address for documentation (RFC 5737): no machine has it, as ::1 where IPv6 is switched off."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that this machine's resolver knows in addition."""
    known: dict[str, list[str]] = {}
    asked = socket.getaddrinfo

    def look_up(host: str, *args: Any, **options: Any) -> list[Any]:
        return [found for address in known.get(host, [host]) for found in asked(address, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


async def test_a_name_stands_for_those_of_its_addresses_that_are_here(names: dict[str, list[str]]) -> None:
    names["relay.test"] = ["127.0.0.1", ELSEWHERE, "127.0.0.1", "127.0.0.2"]
    found = await resolve_addresses(["relay.test", "127.0.0.1"], 0)
    assert found.usable == [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")]
    assert found.left_out == {ELSEWHERE: "Cannot assign requested address"}


async def test_a_name_without_an_address_that_is_here_ends_the_start(names: dict[str, list[str]]) -> None:
    names["relay.test"] = [ELSEWHERE, "203.0.113.8"]
    gateway = Gateway(Settings(host=("127.0.0.1", "relay.test"), port=0))
    with pytest.raises(OSError, match=r"can't listen on relay.test \(203.0.113.7, 203.0.113.8\) port 0") as caught:
        await gateway.start()
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert gateway.problems == ["not started"]


async def test_an_address_that_was_asked_for_is_never_left_out() -> None:
    gateway = Gateway(Settings(host=("127.0.0.1", ELSEWHERE), port=0))
    with pytest.raises(OSError, match=f"can't listen on {ELSEWHERE}"):
        await gateway.start()


async def test_a_taken_port_of_one_address_ends_the_start(names: dict[str, list[str]]) -> None:
    """Its clients would sometimes reach the other program."""
    names["relay.test"] = ["127.0.0.2", "127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway = Gateway(Settings(host=("relay.test",), port=taken.getsockname()[1]))
        with pytest.raises(OSError, match="in use"):
            await gateway.start()


async def test_a_gateway_says_what_it_left_out(names: dict[str, list[str]], caplog: pytest.LogCaptureFixture) -> None:
    """The port for metrics is there, too; and no address is listened on that wasn't named."""
    caplog.set_level(logging.INFO, "relay")
    names["relay.test"] = ["127.0.0.1", ELSEWHERE]
    async with Gateway(Settings(host=("relay.test",), port=0, metrics_port=free_port())) as gateway:
        assert gateway.settings.metrics_port is not None
        for port in (gateway.port, gateway.settings.metrics_port):
            assert (await get(port, "/healthz")).status == 200
    told = [record.message for record in caplog.records]
    assert f"address left out address={ELSEWHERE} error=Cannot assign requested address" in told
    (listening,) = [entry for entry in told if entry.startswith("listening ")]
    assert "addresses=['127.0.0.1']" in listening


async def test_workers_share_those_addresses(names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor holds the port on the same ones."""
    names["relay.test"] = ["127.0.0.1", ELSEWHERE]
    held: list[list[tuple[int, str]]] = []

    class Noted(Exception):
        pass

    def note(addresses: list[tuple[int, str]], port: int) -> None:
        held.append(addresses)
        raise Noted

    monkeypatch.setattr("relay.workers.supervisor.Reservation", note)
    settings = Settings(host=("relay.test",), port=0, broker_url="redis://localhost", workers=2)
    with pytest.raises(Noted):
        await Supervisor(settings, 2, []).run(asyncio.Event(), asyncio.Event())
    assert held == [[(socket.AF_INET, "127.0.0.1")]]


@pytest.mark.parametrize(("hosts", "said"), [(("::",), True), (("0.0.0.0", "::"), False), (("::1",), False)])
async def test_two_colons_take_ipv6_alone_and_it_says_so(
    hosts: tuple[str, ...], said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    caplog.set_level(logging.INFO, "relay")
    # Any free port of one family may be another test's in the other one.
    async with Gateway(Settings(host=hosts, port=free_port())) as gateway:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as client:
                client.settimeout(10)
                reached = client.connect_ex((host, gateway.port)) == 0
            assert reached == (family == socket.AF_INET6 or "0.0.0.0" in hosts)
    assert any(record.message.startswith("no IPv4 ") for record in caplog.records) == said


@pytest.mark.parametrize("taken", [1, PORT_ATTEMPTS - 1, PORT_ATTEMPTS])
def test_any_free_port_is_free_on_all_addresses(taken: int) -> None:
    """The kernel looks for a port on one address only; another program may have it on the next one."""
    refused: list[int] = []
    made: list[socket.socket] = []

    def bind(family: int, address: str, port: int) -> socket.socket:
        if address == "127.0.0.2" and len(refused) < taken:
            refused.append(port)
            raise OSError(errno.EADDRINUSE, "Address already in use")
        made.append(socket.socket(family))
        made[-1].bind((address, port))
        return made[-1]

    def bind_both() -> tuple[list[socket.socket], int]:
        return bind_all(bind, [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")], 0)

    if taken == PORT_ATTEMPTS:
        with pytest.raises(OSError, match="in use"):
            bind_both()
    else:
        bound, port = bind_both()
        assert [sock.getsockname() for sock in bound] == [("127.0.0.1", port), ("127.0.0.2", port)]
        for sock in bound:
            sock.close()
    assert [sock.fileno() for sock in made] == [-1] * len(made)


def test_a_taken_port_that_was_asked_for_is_not_exchanged() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.2", port)), pytest.raises(OSError, match="in use"):
        bind_all(_bind, [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")], port)
    with closing(_bind(socket.AF_INET, "127.0.0.1", port)):
        pass


def _bind(family: int, address: str, port: int) -> socket.socket:
    made = socket.socket(family)
    try:
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made

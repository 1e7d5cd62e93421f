"""Who is connected to a gateway."""

from __future__ import annotations

import asyncio

import pytest

from relay.auth.authenticator import ANONYMOUS
from relay.brokers import BrokerOptions
from relay.clients.expirations import Expirations
from relay.clients.registry import Registry
from relay.clients.session import Session
from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.limits.address import PerAddress
from relay.limits.address_rate import AddressRate
from relay.limits.connections import ConnectionLimits
from relay.limits.limit import Limit
from relay.metrics.counters import Counters
from relay.node import Node
from relay.protocols.plain import Plain


class Someone:
    """A client; see `Connected`."""

    buffered = 0
    takes_turns = False

    def __init__(self, node: Node) -> None:
        self.session = Session(node, ANONYMOUS, Plain("a", echo=False), None)

    def prepare_to_close(self) -> bool:
        return True

    def close(self, why: Disconnect | CustomDisconnect) -> None: ...

    def expire(self) -> None: ...

    def abort(self) -> None: ...

    def refresh(self, expires_at: float | None) -> None: ...


class Place:
    """A registry, and what is around it.

    Attributes:
        evictable: clients that give up their places when these are needed.
    """

    def __init__(self, places: int) -> None:
        self.counters = Counters()
        self.node = Node(BrokerOptions("memory://"), self.counters)
        self.evictable: list[Someone] = []
        self.evictions = 0
        unlimited = PerAddress(0, False)
        rate = AddressRate(Limit.NEW_ADDRESS_CONNECTIONS, unlimited, 1.0, self.counters, self.node.clock)
        limits = ConnectionLimits(unlimited, 0, None, rate, self.counters, self.node.clock)
        self.registry = Registry(
            places, self.counters, lambda: self._evict if self.evictable else None, limits, Expirations(lambda: 0.0)
        )

    def come(self, *, socket: bool = True) -> Someone:
        """Let a client in."""
        someone = Someone(self.node)
        self.registry.check_room()
        self.registry.join(someone, socket=socket)
        return someone

    def _evict(self) -> None:
        self.evictions += 1
        self.registry.leave(self.evictable.pop(), 1006)


async def test_clients_are_counted_as_they_come_and_go() -> None:
    place = Place(10)
    registry, counters = place.registry, place.counters
    first, polling = place.come(), place.come(socket=False)
    assert (len(registry), registry.sockets) == (2, 1)
    assert first in registry
    assert set(registry) == {first, polling}
    assert (counters.connections_open, counters.connections_accepted) == (2, 2)
    registry.leave(first, 1000)
    registry.leave(polling, 1006, socket=False)
    assert (len(registry), registry.sockets) == (0, 0)
    assert first not in registry
    assert (counters.connections_open, counters.connections_accepted) == (0, 2)
    assert counters.connections_closed == {1000: 1, 1006: 1}


async def test_clients_may_leave_while_they_are_gone_through() -> None:
    place = Place(10)
    for _ in range(5):
        place.come()
    for client in place.registry:
        place.registry.leave(client, 1001)
    assert len(place.registry) == 0


async def test_there_are_so_many_places_and_no_more() -> None:
    place = Place(2)
    first = place.come()
    place.come()
    with pytest.raises(Refused) as caught:
        place.come()
    assert (caught.value.status, caught.value.cause) == (503, "full")
    place.registry.leave(first, 1000)
    place.come()
    assert place.evictions == 0


async def test_a_client_that_does_not_use_its_place_gives_it_up() -> None:
    place = Place(2)
    place.evictable.append(place.come())
    place.come()
    place.registry.check_open()
    assert place.evictions == 0
    place.come()
    assert len(place.registry) == 2
    assert place.evictions == 1
    with pytest.raises(Refused):
        place.come()


async def test_a_gateway_that_drains_lets_nobody_in_and_evicts_nobody() -> None:
    place = Place(1)
    place.evictable.append(place.come())
    place.registry.draining = True
    with pytest.raises(Refused) as caught:
        place.registry.check_room()
    with pytest.raises(Refused):
        place.registry.check_open()
    assert (caught.value.status, caught.value.cause) == (503, "draining")
    assert place.evictions == 0


async def test_the_last_client_is_waited_for_and_not_for_ever() -> None:
    place = Place(10)
    async with asyncio.timeout(1):
        await place.registry.emptied(30.0)
        for _ in range(2):
            first, second = place.come(), place.come()
            await place.registry.emptied(0.01)
            assert len(place.registry) == 2
            waiting = asyncio.create_task(place.registry.emptied(30.0))
            await asyncio.sleep(0)
            place.registry.leave(first, 1000)
            await asyncio.sleep(0)
            assert not waiting.done()
            place.registry.leave(second, 1000)
            await waiting


async def test_a_client_that_comes_as_the_last_one_leaves_is_waited_for() -> None:
    place = Place(10)
    first = place.come()
    waiting = asyncio.create_task(place.registry.emptied(30.0))
    await asyncio.sleep(0)
    place.registry.leave(first, 1000)
    second = place.come()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    place.registry.leave(second, 1000)
    async with asyncio.timeout(1):
        await waiting

"""Carrying out orders on many clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from relay.control import disconnects
from relay.control.disconnects import CLOSES_PER_TICK, Disconnector
from relay.control.messages import DisconnectCommand, UnsubscribeCommand
from relay.errors import CustomDisconnect, Disconnect
from tests.harness.conditions import stays_true, wait_until

NODE = bytes(8)


class Client:
    """A client, and its session, that notes how it is closed, and from what it is unsubscribed."""

    def __init__(self, number: int, user: str | None = None, *channels: str) -> None:
        self.id = NODE + number.to_bytes(8, "big")
        self.channels = channels or ("a",)
        self.user = user
        self.session = self
        self.closed: list[Disconnect | CustomDisconnect] = []
        self.revoked: set[str] = set()

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        self.closed.append(why)

    def revoke(self, channel: str) -> None:
        assert channel in self.channels
        self.revoked.add(channel)


class Crowd(list[Client]):
    """Clients, and how often they were looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Client]:
        self.looks += 1
        return super().__iter__()


async def test_orders_of_a_while_are_carried_out_in_one_look() -> None:
    clients = [Client(number, f"user {number}") for number in range(100)]
    crowd = Crowd(clients)
    work = Disconnector(crowd, NODE)
    for number in range(50):
        work.add(DisconnectCommand(user=f"user {number}"))
    await wait_until(lambda: all(client.closed == [Disconnect.FORCE_DISCONNECT] for client in clients[:50]))
    work.add(DisconnectCommand(user="user 50"))
    assert not clients[50].closed, "the next look has to wait"
    await wait_until(lambda: clients[50].closed)
    assert crowd.looks == 2
    assert not any(client.closed for client in clients[51:])


async def test_only_those_who_are_meant_are_closed() -> None:
    ann, other_ann, bob, nobody = Client(1, "ann"), Client(2, "ann", "b"), Client(3, "bob"), Client(4)
    work = Disconnector([ann, other_ann, bob, nobody], NODE)
    work.add(UnsubscribeCommand(user="ann", channel="b"))
    work.add(UnsubscribeCommand(user="bob", client=nobody.id.hex(), channel="a"))
    work.add(DisconnectCommand(user="bob", keep=frozenset({bob.id.hex()})))
    work.add(DisconnectCommand(client=nobody.id.hex(), code=4000, reason="x"))
    work.add(DisconnectCommand(client="f" * 32))
    work.add(DisconnectCommand())
    work.add(DisconnectCommand(user=""))
    await wait_until(lambda: nobody.closed)
    assert nobody.closed == [CustomDisconnect(4000, "x")]
    assert other_ann.revoked == {"b"}
    assert await stays_true(lambda: not any((*who.closed, *who.revoked) for who in (ann, bob)), 0.1)
    assert not other_ann.closed


async def test_a_client_is_unsubscribed_from_what_is_meant_and_closed_if_an_order_says_so() -> None:
    ann, bob = Client(1, "ann", "a", "b", "c"), Client(2, "bob", "a", "b")
    work = Disconnector([ann, bob], NODE)
    for order in (
        UnsubscribeCommand(user="ann", channel="a"),
        UnsubscribeCommand(client=ann.id.hex(), channel="c"),
        UnsubscribeCommand(client=ann.id.hex(), channel="d"),
        UnsubscribeCommand(user="bob", channel="a"),
        DisconnectCommand(user="bob"),
    ):
        work.add(order)
    await wait_until(lambda: bob.closed == [Disconnect.FORCE_DISCONNECT])
    assert (ann.revoked, bob.revoked) == ({"a", "c"}, set())
    assert not ann.closed


async def test_clients_of_other_gateways_cost_nothing() -> None:
    crowd = Crowd()
    work = Disconnector(crowd, NODE)
    work.add(DisconnectCommand(client="f" * 32))
    assert await stays_true(lambda: work._timer is None, 0.02)
    assert not crowd.looks


async def test_many_clients_are_closed_some_at_a_time_and_a_stop_ends_it() -> None:
    clients = [Client(number, "ann") for number in range(2 * CLOSES_PER_TICK + 10)]
    work = Disconnector(clients, NODE)
    work._orders = [DisconnectCommand(user="ann")]
    work._look()
    assert sum(bool(client.closed) for client in clients) == CLOSES_PER_TICK
    await asyncio.sleep(0)
    assert sum(bool(client.closed) for client in clients) == 2 * CLOSES_PER_TICK
    work.add(DisconnectCommand(user="ann", code=4000))
    work.stop()
    await asyncio.sleep(0.1)
    assert sum(bool(client.closed) for client in clients) == 2 * CLOSES_PER_TICK


async def test_with_many_orders_the_look_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disconnects, "MAX_WAITING", 10)
    clients = [Client(number, f"user {number}") for number in range(20)]
    work = Disconnector(clients, NODE)
    work._looked_at = asyncio.get_running_loop().time() + 60
    for number in range(20):
        work.add(DisconnectCommand(user=f"user {number}"))
    assert all(client.closed for client in clients)
    work.stop()


async def test_many_orders_for_many_clients_of_one_user_are_one_look() -> None:
    """Whoever may write to Redis can send them: neither their product nor a list of closed clients may grow."""
    clients = [Client(number, "ann") for number in range(2000)]
    work = Disconnector(clients, NODE)
    work._orders = [UnsubscribeCommand(user="ann", channel=f"other {number}") for number in range(5000)]
    work._orders += [UnsubscribeCommand(client=clients[0].id.hex(), channel="other")] * 5000
    compared = 0
    means = disconnects._means

    def counting(order: DisconnectCommand | UnsubscribeCommand, session: disconnects.ClientSession) -> bool:
        nonlocal compared
        compared += 1
        return means(order, session)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disconnects, "_means", counting)
        work._look()
    assert compared <= len(work._orders) + 5000
    for _ in range(10):
        work._orders = [DisconnectCommand(user="ann")]
        work._look()
    assert len(work._waiting) <= len(clients)
    work.stop()


async def test_a_look_at_many_clients_is_short() -> None:
    clients = [Client(number, None if number % 2 else f"user {number}") for number in range(20_000)]
    work = Disconnector(clients, NODE)
    seconds = []
    for _ in range(5):
        work._orders = [DisconnectCommand(user="user 2"), DisconnectCommand(client=clients[1].id.hex())]
        began = time.process_time()
        work._look()
        seconds.append(time.process_time() - began)
    print(f"a look at 20,000 clients: {min(seconds) * 1000:.1f} ms")  # noqa: T201  # shown by -s
    assert min(seconds) < 0.1

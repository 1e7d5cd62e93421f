"""Which of this gateway's clients an order means, and closing them without keeping the others waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from relay.auth.authenticator import Identity
from relay.control.messages import Disconnect, Unsubscribe
from relay.errors import CustomDisconnect
from relay.errors import Disconnect as Reason

INTERVAL_SECONDS = 0.05
"""Between two looks at all clients. 20,000 of them take about 2 ms, so orders never take more than a few per cent."""

MAX_WAITING = 10_000
"""Orders that wait for the next look; with more it comes at once."""

CLOSES_PER_TICK = 256

Order = Disconnect | Unsubscribe


class Client(Protocol):
    """A connection of this gateway.

    Attributes:
        id: 16 bytes, unique over all gateways.
        channel: its channel.
        identity: who it is.
    """

    id: bytes
    channel: str
    identity: Identity

    def close(self, disconnect: Reason | CustomDisconnect) -> None:
        """Begin the closing handshake; nothing happens when it has begun already."""


class Closing:
    """Carries out orders on the clients of one gateway.

    There is no index of clients by name: it would cost memory for each of them, all the time, for something seldom.
    Instead all orders of a while are carried out in one look at all clients.

    Args:
        clients: returns all clients that are there now.
        node_id: what the ids of this gateway's clients begin with.
    """

    def __init__(self, clients: Callable[[], Collection[Client]], node_id: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self._clients = clients
        self._node_id = node_id.hex()
        self._orders: list[Order] = []
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        # Each client once, however many orders mean it.
        self._to_close: OrderedDict[Client, Reason | CustomDisconnect] = OrderedDict()

    def add(self, order: Order) -> None:
        """Carry out an order, soon."""
        if order.client is not None and not order.client.startswith(self._node_id):
            return  # a client of another gateway
        if order.client is None and order.user is None:
            return  # it would mean everybody
        self._orders.append(order)
        if len(self._orders) >= MAX_WAITING:
            self._look()
        elif self._timer is None:
            self._timer = self._loop.call_at(self._looked_at + INTERVAL_SECONDS, self._look)

    def stop(self) -> None:
        """Forget what waits: all clients are being closed anyway."""
        if self._timer is not None:
            self._timer.cancel()
        self._orders.clear()
        self._to_close.clear()

    def _look(self) -> None:
        """Find the clients that the waiting orders mean."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._looked_at = self._loop.time()
        orders, self._orders = self._orders, []
        index = _Index(orders)
        idle = not self._to_close
        for client in self._clients():
            if (reason := index.reason(client)) is not None:
                self._to_close.setdefault(client, reason)
        if idle and self._to_close:
            self._close_some()

    def _close_some(self) -> None:
        for _ in range(min(CLOSES_PER_TICK, len(self._to_close))):
            client, reason = self._to_close.popitem(last=False)
            client.close(reason)
        if self._to_close:
            self._loop.call_soon(self._close_some)


class _Index:
    """Orders by whom they mean, so that a client is compared with few of them.

    Ten thousand orders for the user of ten thousand clients must not be a hundred million comparisons. An order that
    spares a client must name it in `keep`, so these are bounded by the bytes of the orders.

    Args:
        orders: in the order in which they came.
    """

    def __init__(self, orders: Iterable[Order]) -> None:
        self._by_client: defaultdict[str, list[Order]] = defaultdict(list)
        self._by_user: defaultdict[str | None, list[Disconnect]] = defaultdict(list)
        self._unsubscribed: set[tuple[str | None, str]] = set()
        for order in orders:
            if order.client is not None:
                self._by_client[order.client].append(order)
            elif isinstance(order, Unsubscribe):
                self._unsubscribed.add((order.user, order.channel))
            else:
                self._by_user[order.user].append(order)

    def reason(self, client: Client) -> Reason | CustomDisconnect | None:
        """Return why one of the orders closes a client; None when all mean others."""
        user = client.identity.user
        meant: Iterable[Order] = self._by_user.get(user, ()) if self._by_user else ()
        if self._by_client:
            meant = [*meant, *self._by_client.get(client.id.hex(), ())]
        for order in meant:
            if (reason := _reason(order, client)) is not None:
                return reason
        return Reason.UNSUBSCRIBED if (user, client.channel) in self._unsubscribed else None


def _reason(order: Order, client: Client) -> Reason | CustomDisconnect | None:
    """Return why an order closes a client; None when it means others."""
    if order.user is not None and order.user != client.identity.user:
        return None
    if isinstance(order, Unsubscribe):
        return Reason.UNSUBSCRIBED if order.channel == client.channel else None
    if order.keep and client.id.hex() in order.keep:
        return None
    return CustomDisconnect(order.code, order.reason) if order.code else Reason.FORCE_DISCONNECT

"""Which of this gateway's clients an order means, and carrying it out without keeping the others waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable
from typing import Protocol

from relay.control.messages import DisconnectCommand, UnsubscribeCommand
from relay.errors import CustomDisconnect, Disconnect

INTERVAL_SECONDS = 0.05
"""Between two looks at all clients. 20,000 of them take about 2 ms, so orders never take more than a few per cent."""

MAX_WAITING = 10_000
"""Orders that wait for the next look; with more it comes at once."""

CLOSES_PER_TICK = 256

Order = DisconnectCommand | UnsubscribeCommand


class ClientSession(Protocol):
    """A client's session.

    Attributes:
        id: 16 bytes, unique over all gateways.
    """

    id: bytes

    @property
    def user(self) -> str | None:
        """The client's name; None when it has none."""

    @property
    def channels(self) -> Collection[str]:
        """The channels to which the client is subscribed."""

    def revoke(self, channel: str) -> None:
        """End a subscription; nothing happens when there is none."""


class Client(Protocol):
    """A client of this gateway."""

    @property
    def session(self) -> ClientSession:
        """Who it is, and to what it is subscribed."""

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """Begin to end it; nothing happens when it is ending already."""


class Disconnector:
    """Carries out orders on the clients of one gateway.

    There is no index of clients by name: it would cost memory for each of them, all the time, for something seldom.
    Instead all orders of a while are carried out in one look at all clients.

    Args:
        clients: all that are there.
        node_id: what the ids of this gateway's clients begin with.
    """

    def __init__(self, clients: Iterable[Client], node_id: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self._clients = clients
        self._node_id = node_id.hex()
        self._orders: list[Order] = []
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        # Each client once, however many orders mean it: why it is closed, or from what it is unsubscribed.
        self._waiting: OrderedDict[Client, Disconnect | CustomDisconnect | Collection[str]] = OrderedDict()

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
        self._waiting.clear()

    def _look(self) -> None:
        """Find the clients that the waiting orders mean."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._looked_at = self._loop.time()
        orders, self._orders = self._orders, []
        index = _Index(orders)
        idle = not self._waiting
        for client in self._clients:
            session = client.session
            if (reason := index.reason(session)) is not None:
                self._waiting[client] = reason
            elif (channels := index.channels(session)) and isinstance(
                others := self._waiting.get(client, ()), Collection
            ):
                self._waiting[client] = {*others, *channels}
        if idle and self._waiting:
            self._carry_out_some()

    def _carry_out_some(self) -> None:
        for _ in range(min(CLOSES_PER_TICK, len(self._waiting))):
            client, reason = self._waiting.popitem(last=False)
            if isinstance(reason, Collection):
                for channel in reason:
                    client.session.revoke(channel)
            else:
                client.close(reason)
        if self._waiting:
            self._loop.call_soon(self._carry_out_some)


class _Index:
    """Orders by whom they mean, so that a client is compared with few of them.

    Ten thousand orders for the user of ten thousand clients must not be a hundred million comparisons. An order that
    spares a client must name it in `keep`, so these are bounded by the bytes of the orders.

    Args:
        orders: in the order in which they came.
    """

    def __init__(self, orders: Iterable[Order]) -> None:
        self._by_client: defaultdict[str, list[Order]] = defaultdict(list)
        self._by_user: defaultdict[str | None, list[DisconnectCommand]] = defaultdict(list)
        self._unsubscribed: set[tuple[str | None, str]] = set()
        for order in orders:
            if order.client is not None:
                self._by_client[order.client].append(order)
            elif isinstance(order, UnsubscribeCommand):
                self._unsubscribed.add((order.user, order.channel))
            else:
                self._by_user[order.user].append(order)

    def reason(self, session: ClientSession) -> Disconnect | CustomDisconnect | None:
        """Return why one of the orders closes a client; None when none does."""
        meant: Iterable[Order] = self._by_user.get(session.user, ()) if self._by_user else ()
        for order in [*meant, *self._of_client(session)]:
            if isinstance(order, DisconnectCommand) and _means(order, session) and session.id.hex() not in order.keep:
                return CustomDisconnect(order.code, order.reason) if order.code else Disconnect.FORCE_DISCONNECT
        return None

    def channels(self, session: ClientSession) -> set[str]:
        """Return the channels from which the orders unsubscribe a client."""
        if not self._unsubscribed and not self._by_client:
            return set()
        user, subscribed = session.user, session.channels
        named = {
            order.channel
            for order in self._of_client(session)
            if isinstance(order, UnsubscribeCommand) and order.channel in subscribed and _means(order, session)
        }
        return named | {channel for channel in subscribed if (user, channel) in self._unsubscribed}

    def _of_client(self, session: ClientSession) -> list[Order]:
        """Return the orders that name a client."""
        return self._by_client.get(session.id.hex(), []) if self._by_client else []


def _means(order: Order, session: ClientSession) -> bool:
    """Return whether an order that names a client, or none, means this one by its user."""
    return order.user is None or order.user == session.user

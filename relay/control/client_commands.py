"""Carries out commands on this gateway's clients, without holding up the other clients."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from operator import itemgetter
from typing import Protocol

from relay.control.commands import (
    BlockCommand,
    ClientCommand,
    DisconnectCommand,
    RefreshCommand,
    SubscribeCommand,
    UnsubscribeCommand,
)
from relay.errors import CustomDisconnect, Disconnect
from relay.protocols.multiplexed import ServerSubscription

INTERVAL_SECONDS = 0.05
"""Between two passes over all clients. One over 20,000 takes about 2 ms, so passes take a few per cent at most."""

MAX_COMMANDS = 10_000
"""Commands that wait for the next pass; when there are more it comes at once."""

ACTIONS_PER_TICK = 256
"""Clients that are closed, and subscriptions that begin or end, before other work has its turn."""


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

    def subscribe_by_server(self, channel: str, subscription: ServerSubscription) -> None:
        """Begin a subscription that the client hasn't asked for, whatever its rights say, and tell it.

        Nothing happens when there is one, or the client can have no further ones.
        """


class Client(Protocol):
    """A client of this gateway."""

    @property
    def session(self) -> ClientSession:
        """The client's session."""

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """Begin to close the client; nothing happens when it is closing already."""

    def refresh(self, expires_at: float | None) -> None:
        """Let the client's right end at another time, in seconds since 1970; None: never."""


@dataclass(slots=True)
class _Subscriptions:
    """What commands of one pass say of the subscriptions of a user's clients, or of one client.

    The clients of a user share it: commands and clients together are no product in memory.

    Args:
        ended: channel → number of the last command that ends subscriptions to it.
        begun: channel → number of the last command that begins them, and the command.
    """

    ended: dict[str, int] = field(default_factory=dict)
    begun: dict[str, tuple[int, SubscribeCommand]] = field(default_factory=dict)

    def concern(self, session: ClientSession) -> bool:
        """Return whether something is to be done with the subscriptions that a client has now."""
        return bool(self.begun) or any(channel in self.ended for channel in session.channels)

    def followed_by(self, later: _Subscriptions) -> _Subscriptions:
        """Return both in one; of two commands about one channel the one with the larger number counts."""
        ended, begun = {**self.ended}, {**self.begun}
        for channel, number in later.ended.items():
            ended[channel] = max(number, ended.get(channel, number))
        for channel, numbered in later.begun.items():
            begun[channel] = max(numbered, begun.get(channel, numbered), key=itemgetter(0))
        return _Subscriptions(ended, begun)

    def carry_out(self, session: ClientSession) -> int:
        """End subscriptions of a client, then begin others; return how many."""
        revoked = [channel for channel in session.channels if channel in self.ended]
        for channel in revoked:
            session.revoke(channel)
        begun = [command for number, command in self.begun.values() if number > self.ended.get(command.channel, -1)]
        for command in begun:
            session.subscribe_by_server(command.channel, command.subscription)
        return len(revoked) + len(begun)


@dataclass(slots=True)
class _Due:
    """What is to be done with one client.

    Args:
        why: why it is closed, and then nothing else matters; None: it stays.
        subscriptions: what is to be done with its subscriptions, of all passes.
        refresh: its new end; None: it keeps the one that it has.
    """

    why: Disconnect | CustomDisconnect | None = None
    subscriptions: tuple[_Subscriptions, ...] = ()
    refresh: RefreshCommand | None = None

    def __bool__(self) -> bool:
        return self.why is not None or bool(self.subscriptions) or self.refresh is not None

    def followed_by(self, later: _Due) -> _Due:
        """Return what is to be done when this was due already, and something else is, too."""
        if self.why is not None:
            return self  # it is closed for the first reason, and loses all its subscriptions anyway
        return _Due(later.why, self.subscriptions + later.subscriptions, later.refresh or self.refresh)


class ClientCommands:
    """Disconnects, unsubscribes, subscribes and refreshes those clients of one gateway that commands name.

    There is no index of clients by name: it would cost memory for each client, all the time, for something rare.
    Instead, one pass over all clients carries out all commands that have come since the last one.

    Args:
        clients: all clients of the gateway.
        node_id: the first bytes of the ids of this gateway's clients.
    """

    def __init__(self, clients: Iterable[Client], node_id: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self._clients = clients
        self._node_id = node_id.hex()
        self._commands: list[ClientCommand] = []
        self._timer: asyncio.TimerHandle | None = None
        self._passed_at = 0.0
        # Of commands that were matched.
        self._number = 0
        # Each client once, however many commands name it.
        self._due: OrderedDict[Client, _Due] = OrderedDict()

    def add(self, command: ClientCommand) -> None:
        """Carry out a command, soon."""
        if not isinstance(command, BlockCommand):
            if command.client is not None and not command.client.startswith(self._node_id):
                return  # a client of another gateway
            if command.client is None and command.user is None:
                return  # it would name every client
        self._commands.append(command)
        if len(self._commands) >= MAX_COMMANDS:
            self._match()
        elif self._timer is None:
            self._timer = self._loop.call_at(self._passed_at + INTERVAL_SECONDS, self._match)

    def stop(self) -> None:
        """Forget the commands that wait: all clients are being closed anyway."""
        if self._timer is not None:
            self._timer.cancel()
        self._commands.clear()
        self._due.clear()

    def _match(self) -> None:
        """Find the clients that the waiting commands name."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._passed_at = self._loop.time()
        commands, self._commands = self._commands, []
        index = _CommandIndex(commands, self._number)
        self._number += len(commands)
        idle = not self._due
        for client in self._clients:
            earlier = None if idle else self._due.get(client)
            if due := index.due(client.session, waits=earlier is not None):
                self._due[client] = due if earlier is None else earlier.followed_by(due)
        if idle and self._due:
            self._act()

    def _act(self) -> None:
        """Close, unsubscribe, subscribe and refresh some of the clients, and the others in the next ticks."""
        actions = 0
        try:
            while self._due and actions < ACTIONS_PER_TICK:
                client, due = self._due.popitem(last=False)
                actions += 1
                if due.why is not None:
                    client.close(due.why)
                    continue
                if due.subscriptions:
                    together = reduce(_Subscriptions.followed_by, due.subscriptions)
                    actions += max(0, together.carry_out(client.session) - 1)
                if due.refresh is not None:
                    client.refresh(due.refresh.expires_at)
        finally:  # a fault in one client must not keep the others from being closed
            if self._due:
                self._loop.call_soon(self._act)


class _CommandIndex:
    """Commands by the client or user that they name, so that each client is compared with few of them.

    Ten thousand commands that name the user of ten thousand clients must not be a hundred million comparisons. A
    command that spares a client must have its id in `keep`, so these are bounded by the bytes of the commands.

    Args:
        commands: in the order in which they came.
        first: number of the first one, by which of two commands the later one is known.
    """

    def __init__(self, commands: Iterable[ClientCommand], first: int) -> None:
        self._by_client: defaultdict[str, list[tuple[int, ClientCommand]]] = defaultdict(list)
        # By user: commands that close its clients, what is to be done with subscriptions of all, and the last refresh.
        self._closing: defaultdict[str | None, list[ClientCommand]] = defaultdict(list)
        self._subscriptions: defaultdict[str | None, _Subscriptions] = defaultdict(_Subscriptions)
        self._refreshed: dict[str | None, RefreshCommand] = {}
        for number, command in enumerate(commands, first):
            if not isinstance(command, BlockCommand) and command.client is not None:
                self._by_client[command.client].append((number, command))
            elif isinstance(command, UnsubscribeCommand):
                self._subscriptions[command.user].ended[command.channel] = number
            elif isinstance(command, SubscribeCommand):
                self._subscriptions[command.user].begun[command.channel] = number, command
            elif isinstance(command, RefreshCommand) and not command.expired:
                self._refreshed[command.user] = command
            else:
                self._closing[command.user].append(command)

    def due(self, session: ClientSession, *, waits: bool) -> _Due:
        """Return what the commands do to a client; false: nothing.

        Args:
            session: of the client.
            waits: whether something was due before, such as a subscription that a command of now may end.
        """
        by_id = self._by_client.get(session.id.hex(), ()) if self._by_client else ()
        user = session.user
        by_user = user in self._closing or user in self._subscriptions or user in self._refreshed
        if not by_id and not by_user:
            return _NOTHING  # nearly all clients
        numbered = [(number, command) for number, command in by_id if _names_user(command, session)]
        for command in chain(self._closing.get(user, ()), (command for _, command in numbered)):
            if (why := _closes(command, session)) is not None:
                return _Due(why)
        due, own = _Due(refresh=self._refreshed.get(user)), _Subscriptions()
        for number, command in numbered:
            if isinstance(command, RefreshCommand):
                due.refresh = command
            elif isinstance(command, UnsubscribeCommand):
                own.ended[command.channel] = number
            elif isinstance(command, SubscribeCommand):
                own.begun[command.channel] = number, command
        of_user = self._subscriptions.get(user)
        both = (own,) if of_user is None else (of_user, own)
        begins = waits or any(each.begun for each in both)
        due.subscriptions = tuple(each for each in both if each.concern(session) or (begins and each.ended))
        return due


_NOTHING = _Due()


def _names_user(command: ClientCommand, session: ClientSession) -> bool:
    """Return whether a command is for every user, or for that of a session."""
    return command.user is None or command.user == session.user


def _closes(command: ClientCommand, session: ClientSession) -> Disconnect | CustomDisconnect | None:
    """Return why a command closes a client that it names; None: it doesn't."""
    match command:
        case BlockCommand():
            return Disconnect.USER_BLOCKED
        case RefreshCommand(expired=True):
            return Disconnect.TOKEN_EXPIRED
        case DisconnectCommand() if session.id.hex() not in command.keep:
            return CustomDisconnect(command.code, command.reason) if command.code else Disconnect.FORCE_DISCONNECT
    return None

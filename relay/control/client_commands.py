"""Carries out commands on this gateway's clients, without holding up the other clients."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from relay.control.messages import BlockCommand, ClientCommand, DisconnectCommand, RefreshCommand, UnsubscribeCommand
from relay.errors import CustomDisconnect, Disconnect

INTERVAL_SECONDS = 0.05
"""Between two passes over all clients. One over 20,000 takes about 2 ms, so passes take a few per cent at most."""

MAX_COMMANDS = 10_000
"""Commands that wait for the next pass; when there are more it comes at once."""

ACTIONS_PER_TICK = 256
"""Clients that are closed, and subscriptions that are ended, before other work has its turn."""


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
        """The client's session."""

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """Begin to close the client; nothing happens when it is closing already."""

    def refresh(self, expires_at: float | None) -> None:
        """Let the client's right end at another time, in seconds since 1970; None: never."""


@dataclass(slots=True)
class _Due:
    """What is to be done with one client.

    Args:
        why: why it is closed, and then nothing else matters; None: it stays.
        channels: from which it is unsubscribed.
        refresh: its new end; None: it keeps the one that it has.
    """

    why: Disconnect | CustomDisconnect | None = None
    channels: set[str] = field(default_factory=set)
    refresh: RefreshCommand | None = None

    def __bool__(self) -> bool:
        return self.why is not None or bool(self.channels) or self.refresh is not None

    def followed_by(self, later: _Due) -> _Due:
        """Return what is to be done when this was due already, and something else is, too."""
        if self.why is not None:
            return self  # it is closed for the first reason, and loses all its subscriptions anyway
        return _Due(later.why, self.channels | later.channels, later.refresh or self.refresh)


class ClientCommands:
    """Disconnects, unsubscribes and refreshes those clients of one gateway that commands name.

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
        index = _CommandIndex(commands)
        idle = not self._due
        for client in self._clients:
            if due := index.due(client.session):
                earlier = self._due.get(client)
                self._due[client] = due if earlier is None else earlier.followed_by(due)
        if idle and self._due:
            self._act()

    def _act(self) -> None:
        """Close, unsubscribe and refresh some of the clients, and the others in the next ticks."""
        actions = 0
        try:
            while self._due and actions < ACTIONS_PER_TICK:
                client, due = self._due.popitem(last=False)
                actions += max(1, len(due.channels))
                if due.why is not None:
                    client.close(due.why)
                    continue
                for channel in due.channels:
                    client.session.revoke(channel)
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
    """

    def __init__(self, commands: Iterable[ClientCommand]) -> None:
        self._by_client: defaultdict[str, list[ClientCommand]] = defaultdict(list)
        # By user: commands that close its clients, channels from which all are unsubscribed, and the last refresh.
        self._closing: defaultdict[str | None, list[ClientCommand]] = defaultdict(list)
        self._unsubscribed: defaultdict[str | None, set[str]] = defaultdict(set)
        self._refreshed: dict[str | None, RefreshCommand] = {}
        for command in commands:
            if not isinstance(command, BlockCommand) and command.client is not None:
                self._by_client[command.client].append(command)
            elif isinstance(command, UnsubscribeCommand):
                self._unsubscribed[command.user].add(command.channel)
            elif isinstance(command, RefreshCommand) and not command.expired:
                self._refreshed[command.user] = command
            else:
                self._closing[command.user].append(command)

    def due(self, session: ClientSession) -> _Due:
        """Return what the commands do to a client; false: nothing."""
        by_id = self._by_client.get(session.id.hex(), ()) if self._by_client else ()
        user = session.user
        by_user = user in self._closing or user in self._unsubscribed or user in self._refreshed
        if not by_id and not by_user:
            return _NOTHING  # nearly all clients
        commands = [command for command in by_id if _names_user(command, session)]
        for command in chain(self._closing.get(user, ()), commands):
            if (why := _closes(command, session)) is not None:
                return _Due(why)
        due = _Due(refresh=self._refreshed.get(user))
        named = {*self._unsubscribed.get(user, ())}
        for command in commands:
            if isinstance(command, RefreshCommand):
                due.refresh = command
            elif isinstance(command, UnsubscribeCommand):
                named.add(command.channel)
        due.channels = {channel for channel in session.channels if channel in named} if named else named
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

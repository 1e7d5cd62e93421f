"""Carries out commands on this gateway's clients, without holding up the other clients."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable
from itertools import chain
from typing import Protocol

from relay.control.messages import ClientCommand, DisconnectCommand, UnsubscribeCommand
from relay.errors import CustomDisconnect, Disconnect

INTERVAL_SECONDS = 0.05
"""Between two passes over all clients. One over 20,000 takes about 2 ms, so passes take a few per cent at most."""

MAX_COMMANDS = 10_000
"""Commands that wait for the next pass; when there are more it comes at once."""

ACTIONS_PER_TICK = 256
"""Clients that are closed, and subscriptions that are ended, before other work has its turn."""


_Due = Disconnect | CustomDisconnect | set[str]
"""Why to close a client, or the channels from which to unsubscribe it."""


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


class Disconnector:
    """Disconnects and unsubscribes those clients of one gateway that commands name.

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
        # Each client once, however many commands name it: why to close it, or which subscriptions to end.
        self._due: OrderedDict[Client, _Due] = OrderedDict()

    def add(self, command: ClientCommand) -> None:
        """Carry out a command, soon."""
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
            if (due := index.due(client.session)) is None:
                continue
            earlier = self._due.get(client)
            if earlier is not None and not isinstance(earlier, set):
                continue  # it is closed for the first reason, and loses all its subscriptions anyway
            if isinstance(earlier, set) and isinstance(due, set):
                due |= earlier
            self._due[client] = due
        if idle and self._due:
            self._act()

    def _act(self) -> None:
        """Close and unsubscribe some of the clients, and the others in the next ticks."""
        actions = 0
        try:
            while self._due and actions < ACTIONS_PER_TICK:
                client, due = self._due.popitem(last=False)
                if isinstance(due, set):
                    actions += len(due)
                    for channel in due:
                        client.session.revoke(channel)
                else:
                    actions += 1
                    client.close(due)
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
        # By user: commands that disconnect all of its clients, and channels from which all are unsubscribed.
        self._disconnected: defaultdict[str | None, list[DisconnectCommand]] = defaultdict(list)
        self._unsubscribed: defaultdict[str | None, set[str]] = defaultdict(set)
        for command in commands:
            if command.client is not None:
                self._by_client[command.client].append(command)
            elif isinstance(command, UnsubscribeCommand):
                self._unsubscribed[command.user].add(command.channel)
            else:
                self._disconnected[command.user].append(command)

    def due(self, session: ClientSession) -> _Due | None:
        """Return what the commands do to a client: close it, or end some subscriptions; None: nothing."""
        by_id = self._by_client.get(session.id.hex(), ()) if self._by_client else ()
        user = session.user
        if not by_id and user not in self._disconnected and user not in self._unsubscribed:
            return None  # nearly all clients
        commands = [command for command in by_id if _names_user(command, session)]
        for command in chain(self._disconnected.get(user, ()), commands):
            if isinstance(command, DisconnectCommand) and session.id.hex() not in command.keep:
                return CustomDisconnect(command.code, command.reason) if command.code else Disconnect.FORCE_DISCONNECT
        by_user = self._unsubscribed.get(user, ())
        named = {command.channel for command in commands if isinstance(command, UnsubscribeCommand)}
        return {channel for channel in session.channels if channel in by_user or channel in named} or None


def _names_user(command: ClientCommand, session: ClientSession) -> bool:
    """Return whether a command is for every user, or for that of a session."""
    return command.user is None or command.user == session.user

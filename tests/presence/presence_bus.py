"""A bus that keeps presence for several gateways, and does what it is told: fail, refuse, forget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.brokers.presence import REFUSED, PresenceChange, PresenceError, PresenceStats, PresenceStore, Tally
from relay.member import Member, PresenceEvents


@dataclass
class Kept:
    """What the bus has of one gateway on one channel.

    Args:
        members: by the ids of clients.
        users: by name.
    """

    members: dict[str, Member] = field(default_factory=dict)
    users: dict[str, Member] = field(default_factory=dict)

    @property
    def tally(self) -> Tally:
        """How many they are."""
        return Tally(len(self.members), len(self.users))


class PresenceBus:
    """The bus.

    Attributes:
        kept: what it has, by channel and gateway.
        told: events, in their order.
        seen: by channel, the names of those of whom it was told that they have come, and not that they have gone.
        idle: how often it was told that a user has come who was seen, or has gone who wasn't.
    """

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Kept] = {}
        self.told: list[PresenceEvents] = []
        self.seen: dict[str, set[str]] = {}
        self.idle = 0

    def members(self, channel: str) -> set[str]:
        """Return the ids of all clients on a channel."""
        return {client for (name, _), kept in self.kept.items() if name == channel for client in kept.members}

    def change(self, gateway: str, change: PresenceChange) -> Tally:
        """Do what a gateway says; return what it has."""
        key = change.channel, gateway
        if change.whole:
            self.kept[key] = Kept()
        kept = self.kept.setdefault(key, Kept())
        for client in change.left:
            kept.members.pop(client, None)
        kept.members.update({member.client: member for member in change.members})
        left = [one for one in change.gone.values() if kept.users.pop(one.name, None) is not None]
        left = [one for one in left if not self._known(change.channel, one.name)]
        joined = [one for one in change.users.values() if not self._known(change.channel, one.name)]
        kept.users.update({one.name: one for one in change.users.values()})
        if not change.whole:
            self._tell(change.channel, left, joined)
        return kept.tally

    def bury(self, gateway: str) -> None:
        """Take a gateway for dead."""
        for key in [key for key in self.kept if key[1] == gateway]:
            users = self.kept.pop(key).users.values()
            self._tell(key[0], [one for one in users if not self._known(key[0], one.name)], [])

    def _known(self, channel: str, name: str) -> bool:
        return any(key[0] == channel and name in kept.users for key, kept in self.kept.items())

    def _tell(self, channel: str, left: Sequence[Member], joined: Sequence[Member]) -> None:
        if not left and not joined:
            return
        self.told.append(PresenceEvents(channel, left, joined))
        seen = self.seen.setdefault(channel, set())
        for one in left:
            self.idle += one.name not in seen
            seen.discard(one.name)
        for one in joined:
            self.idle += one.name in seen
            seen.add(one.name)


class BusStore(PresenceStore):
    """What one gateway does with the bus.

    Args:
        bus: of all gateways.
        gateway: its id.

    Attributes:
        away: whether calls fail: before they have done something, or after. None: they don't.
        refused: channels that the bus refuses.
        calls: what was called: the channels, and for updates the changes.
        counts: how often each method was called.
    """

    def __init__(self, bus: PresenceBus, gateway: str) -> None:
        self.bus = bus
        self.gateway = gateway
        self.away: str | None = None
        self.refused: set[str] = set()
        self.changes: list[PresenceChange] = []
        self.refreshed: list[str] = []
        self.counts: Counter[str] = Counter()

    async def update(self, changes: Sequence[PresenceChange]) -> list[Tally]:
        self._check("update", "before")
        self.changes += changes
        counts = [
            REFUSED if change.channel in self.refused else self.bus.change(self.gateway, change) for change in changes
        ]
        self._check("update", "after")
        return counts

    async def refresh(self, channels: Sequence[str]) -> list[Tally]:
        self._check("refresh", "before")
        self.refreshed += channels
        return [
            REFUSED if channel in self.refused else self.bus.kept.get((channel, self.gateway), Kept()).tally
            for channel in channels
        ]

    async def members(self, channel: str) -> list[Member]:
        raise NotImplementedError

    async def stats(self, channel: str) -> PresenceStats:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is held."""

    def _check(self, method: str, when: str) -> None:
        if when == "before":
            self.counts[method] += 1
        if self.away == when:
            raise PresenceError("the bus is away")

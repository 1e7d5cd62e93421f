"""Who is on the channels of a single gateway."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from relay.brokers.presence import (
    NOTHING,
    FoundMembers,
    PresenceChange,
    PresenceError,
    PresenceStats,
    PresenceStore,
    Tally,
)
from relay.channel import EVENTS
from relay.member import Member, PresenceEvents
from relay.message import Message
from relay.namespaces import Namespaces


class _Channel:
    """Who is on one channel.

    Attributes:
        members: by the ids of clients.
        users: that were told to have come, by `Member.name`.
    """

    __slots__ = ("members", "users")

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.users: dict[str, Member] = {}

    @property
    def tally(self) -> Tally:
        """How many they are."""
        return Tally(len(self.members), len(self.users))


class MemoryPresenceStore(PresenceStore):
    """Presence within this process. There is no other gateway, and this one is never dead: nothing expires.

    Args:
        namespaces: which channels have presence, and events.
        publish: takes a message of one of the relay's own channels.
    """

    def __init__(self, namespaces: Namespaces, publish: Callable[[Message], None]) -> None:
        self._options = namespaces.options
        self._publish = publish
        # Only those with members or users.
        self._channels: dict[str, _Channel] = {}

    async def update(self, changes: Sequence[PresenceChange]) -> list[Tally]:
        """See `PresenceStore.update`."""
        return [self._change(change) for change in changes]

    async def refresh(self, channels: Sequence[str]) -> list[Tally]:
        """Return what is kept; nothing is to be kept alive."""
        return [self._channels[channel].tally if channel in self._channels else NOTHING for channel in channels]

    async def members(self, channel: str) -> list[Member]:
        """See `PresenceStore.members`."""
        found = FoundMembers()
        for member in self._present(channel):
            found.add(member)
        return found.all()

    async def stats(self, channel: str) -> PresenceStats:
        """See `PresenceStore.stats`."""
        members = self._present(channel)
        return PresenceStats(len(members), len({member.user for member in members}))

    async def close(self) -> None:
        """Do nothing: nothing is held that doesn't end with this object."""

    def _present(self, name: str) -> Collection[Member]:
        if not self._options(name).presence:
            raise PresenceError("the channel has no presence")
        channel = self._channels.get(name)
        return () if channel is None else channel.members.values()

    def _change(self, change: PresenceChange) -> Tally:
        channel = self._channels.setdefault(change.channel, _Channel())
        if change.whole:
            channel.members.clear()
            channel.users.clear()
        for client in change.left:
            channel.members.pop(client, None)
        channel.members.update((member.client, member) for member in change.members)
        if self._options(change.channel).join_leave:
            self._change_users(channel, change)
        if not channel.members and not channel.users:
            del self._channels[change.channel]
        return channel.tally

    def _change_users(self, channel: _Channel, change: PresenceChange) -> None:
        left = [member for member in change.gone.values() if channel.users.pop(member.name, None) is not None]
        joined = [member for member in change.users.values() if member.name not in channel.users]
        channel.users.update((member.name, member) for member in change.users.values())
        if (left or joined) and not change.whole:
            events = PresenceEvents(change.channel, left, joined)
            self._publish(Message(EVENTS + change.channel, msgspec.json.encode(events)))

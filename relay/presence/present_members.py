"""Who is on a channel, as clients and back ends are told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from relay.brokers.presence import PresenceStats, PresenceStore, TooManyMembers
from relay.member import Member
from relay.presence.paced_readings import PacedReadings
from relay.presence.presences import Presences


class PresentMembers:
    """Reads who is on channels: what the bus knows, and what it isn't told yet of this gateway's own clients.

    So a client that has just come finds itself, and a back end that has just subscribed it finds it.

    Args:
        store: who is on the channels of the bus.
        presences: this gateway's clients.
        node_id: the first bytes of the ids of this gateway's clients.
    """

    def __init__(self, store: PresenceStore, presences: Presences, node_id: bytes) -> None:
        self._store = store
        self._presences = presences
        self._own = node_id.hex()
        # Each answer that names members is encoded for its client.
        self._named = PacedReadings[Sequence[Member]](len, costly=True)
        self._counted = PacedReadings[PresenceStats](lambda stats: stats.clients, costly=False)

    async def members_in_turn(self, channel: str) -> Sequence[Member]:
        """Return the same as `members` to a client, which may ask as often as it likes; see `PacedReadings`."""
        return await self._named.read(channel, lambda: self.members(channel))

    async def stats_in_turn(self, channel: str) -> PresenceStats:
        """Return the same as `stats` to a client, likewise."""
        return await self._counted.read(channel, lambda: self.stats(channel))

    async def members(self, channel: str) -> Sequence[Member]:
        """Return who is on a channel, in no order; raises what `PresenceStore.members` does."""
        known = self._is_known(channel)
        found = await self._store.members(channel)
        if known and self._is_known(channel):
            return found
        here = self._presences.find(channel)
        own = () if here is None else here.members.values()
        return [*(member for member in found if not member.client.startswith(self._own)), *own]

    async def stats(self, channel: str) -> PresenceStats:
        """Return how many are on a channel; raises what `PresenceStore.stats` does.

        Where they are too many to be named, those of whom the bus isn't told yet are left out.
        """
        if not self._is_known(channel):
            with suppress(TooManyMembers):
                found = await self.members(channel)
                return PresenceStats(len(found), len({member.user for member in found}))
        return await self._store.stats(channel)

    def _is_known(self, channel: str) -> bool:
        """Return whether the bus knows all of a channel's clients of this gateway; before and after it is asked."""
        here = self._presences.find(channel)
        return here is None or here.settled

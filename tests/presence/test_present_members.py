"""Who is on a channel, while the bus is told of this gateway's clients."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from relay.brokers.presence import PresenceStats, TooManyMembers
from relay.member import Member
from relay.presence.channel_presence import ChannelPresence
from relay.presence.paced_readings import LARGE
from relay.presence.present_members import PresentMembers

NODE = b"12345678"
OWN = Member(NODE.hex() + "0" * 16, "ann")
OTHER = Member("f" * 32, "bob")


class Store:
    """What the bus knows; it answers when the test lets it."""

    def __init__(self, *members: Member, too_many: bool = False) -> None:
        self._members = list(members)
        self._too_many = too_many
        self.gate = asyncio.Event()

    async def members(self, channel: str) -> list[Member]:
        found = list(self._members)
        await self.gate.wait()
        if self._too_many:
            raise TooManyMembers
        return found

    async def stats(self, channel: str) -> PresenceStats:
        return PresenceStats(len(self._members), len(self._members))


class Here:
    """This gateway's clients on its only channel."""

    def __init__(self) -> None:
        self.channel = ChannelPresence("a", 0.0, events=False)

    def find(self, channel: str) -> ChannelPresence | None:
        return self.channel if self.channel.members else None


def reader(store: Store, here: Here) -> PresentMembers:
    return PresentMembers(store, here, NODE)  # type: ignore[arg-type]  # of each it needs what these have


def users(members: Sequence[Member]) -> list[str]:
    return sorted(member.user or "" for member in members)


async def test_a_client_finds_itself_before_the_bus_is_told_of_it() -> None:
    store, here = Store(OTHER), Here()
    here.channel.come(OWN)
    store.gate.set()
    present = reader(store, here)
    assert users(await present.members("a")) == ["ann", "bob"]
    assert await present.stats("a") == PresenceStats(2, 2)


async def test_a_client_finds_itself_when_the_bus_is_told_while_it_answers() -> None:
    store, here = Store(OTHER), Here()
    here.channel.come(OWN)
    asked = asyncio.create_task(_list(reader(store, here)))
    await asyncio.sleep(0)
    here.channel.take()
    store.gate.set()
    assert users(await asked) == ["ann", "bob"]


async def test_where_too_many_are_there_the_bus_counts_them() -> None:
    store, here = Store(OTHER, too_many=True), Here()
    here.channel.come(OWN)
    store.gate.set()
    assert await reader(store, here).stats("a") == PresenceStats(1, 1)


async def _list(present: PresentMembers) -> list[Member]:
    return list(await present.members("a"))


async def test_back_ends_do_not_wait_behind_clients() -> None:
    """Any number of clients may ask about a large channel; a back end has a key."""
    store, here = Store(*[Member(f"{number:032x}", "ann") for number in range(LARGE)]), Here()
    store.gate.set()
    present = reader(store, here)
    assert len(await present.members_in_turn("a")) == LARGE
    assert (await present.stats_in_turn("a")).clients == LARGE
    store.gate.clear()
    clients = [asyncio.create_task(present.members_in_turn("a")) for _ in range(3)]
    store.gate.set()
    assert len(await present.members("a")) == LARGE
    assert (await present.stats("a")).clients == LARGE
    assert not any(client.done() for client in clients)
    assert [len(members) for members in await asyncio.gather(*clients)] == [LARGE] * 3

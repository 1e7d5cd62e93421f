"""What tests of presence need: members, changes, and the events that a station hears."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

import msgspec

from relay.brokers.presence import PresenceChange, Tally
from relay.channel import EVENTS
from relay.member import Member, PresenceEvents
from tests.brokers.recording import Station


def member(number: int, user: str | None = None, info: bytes | None = None) -> Member:
    """Return a client.

    Args:
        number: that makes its id.
        user: its user.
        info: JSON.
    """
    return Member(f"{number:032x}", user, msgspec.UNSET if info is None else msgspec.Raw(info))


def named(*members: Member) -> dict[str, Member]:
    """Return members by users, or by ids of clients without one."""
    return {member.user or member.client: member for member in members}


def come(channel: str, *members: Member, left: Iterable[Member] = (), gone: Iterable[Member] = ()) -> PresenceChange:
    """Return the change that clients come to a channel, each the first one of its user here; and others go."""
    return PresenceChange(channel, members, [some.client for some in left], named(*members), named(*gone))


def go(channel: str, *members: Member) -> PresenceChange:
    """Return the change that clients go from a channel, each the last one of its user here."""
    return come(channel, left=members, gone=members)


def whole(channel: str, *members: Member) -> PresenceChange:
    """Return the change that says all that there is on a channel."""
    return PresenceChange(channel, members, users=named(*members), whole=True)


async def kept(answer: Awaitable[list[Tally]]) -> list[int]:
    """Return how many members the bus has, by channels."""
    return [tally.members for tally in await answer]


def told(station: Station, channel: str) -> list[tuple[list[Member], list[Member]]]:
    """Return what a station has heard: of each event those who have left, and those who have joined."""
    events = [msgspec.json.decode(payload, type=PresenceEvents) for payload in station.sink.payloads(EVENTS + channel)]
    assert all(event.channel == channel for event in events)
    return [(_by_name(event.left), _by_name(event.joined)) for event in events]


def _by_name(members: Iterable[Member]) -> list[Member]:
    return sorted(members, key=lambda member: member.name)

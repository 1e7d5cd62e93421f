"""The contract of presence: who is on a channel, kept where the bus is, so that all gateways know the same.

`Broker.presence` is the one of a bus. Each gateway keeps the members that it has itself there, and says again and
again that it lives: what a gateway has kept is gone `presence_ttl` seconds after it was last heard, so the clients of
one that was killed don't haunt. One suite, `tests/brokers/test_presence.py`, runs over all implementations.

A user comes when the first of its clients does, on whatever gateway, and goes with the last one. Gateways say when a
user of theirs is really gone, which may be seconds after its last client: so a client that comes back within these, on
whatever gateway, makes its user neither go nor come. A client without a user is a user of its own.

Whatever is told twice is so once, and no event tells of it again: a gateway that doesn't know whether the bus has got a
change tells it again, and later ones with it.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from relay.errors import BrokerError
from relay.member import Member

PRESENCE_TTL_SECONDS: Final = 60.0

MAX_PRESENCE_BYTES: Final = 8 * 1024 * 1024
"""Of the members of a channel that are returned, by `size_of`: some 60,000 with short names, or 2000 with `info` at its
largest. They are in memory all at once."""


class Tally(NamedTuple):
    """What the bus has of one gateway on one channel.

    Args:
        members: number of its clients.
        users: number of its users, with those who linger; 0 where no events tell of them.
    """

    members: int
    users: int


NOTHING: Final = Tally(0, 0)

REFUSED: Final = Tally(-1, -1)
"""The bus refuses to keep who is on this channel, and keeps who is on others."""


class PresenceError(BrokerError):
    """Presence could not be read or changed.

    Args:
        detail: why, for logs and for back ends.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class TooManyMembers(PresenceError):
    """More members are there than can be returned."""

    def __init__(self) -> None:
        super().__init__("too many clients are there to name them all")


class PresenceChange(msgspec.Struct, frozen=True):
    """What has changed on one channel since this gateway last told the bus.

    Args:
        channel: its name.
        members: clients that have come to this gateway.
        left: ids of those that have gone.
        users: users of whom this gateway has clients now and had none before, nor lingering; each with the member that
            events tell of. A client without a user is here by its id.
        gone: users, or ids of clients without one, of whom this gateway has had no client for long enough. They went
            before those in `users` came.
        whole: whether this is all that the gateway has there: whatever it has kept before and isn't named is removed,
            and no event tells of anything in this change. So it is for what the bus has lost, not for what was never
            told: a user that comes or goes is told without it, and `whole` comes behind if the number is still wrong.
    """

    channel: str
    members: Sequence[Member] = ()
    left: Sequence[str] = ()
    users: Mapping[str, Member] = {}
    gone: Mapping[str, Member] = {}
    whole: bool = False


class FoundMembers:
    """Members of a channel while they are read, each client once."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._size = 0

    def add(self, member: Member) -> None:
        """Add one; raises `TooManyMembers` when it doesn't fit."""
        if member.client not in self._members:
            self._size += size_of(member)
        if self._size > MAX_PRESENCE_BYTES:
            raise TooManyMembers
        self._members[member.client] = member

    def all(self) -> list[Member]:
        """Return those that were added."""
        return list(self._members.values())


def size_of(member: Member) -> int:
    """Return about how many bytes a member has as JSON."""
    infos = (member.info, member.channel_info)
    shown = sum(memoryview(info).nbytes for info in infos if not isinstance(info, msgspec.UnsetType))
    return _OTHER_BYTES + len(member.client) + len(member.user or "") + shown


_OTHER_BYTES: Final = 64
"""Of a member, all that is neither its id, nor its user, nor its info."""


class PresenceStats(msgspec.Struct, frozen=True, gc=False):
    """How many are on a channel.

    Args:
        clients: number of clients.
        users: number of different users; all clients without one count as one user, as Centrifugo does.
    """

    clients: int
    users: int


class PresenceStore(abc.ABC):
    """Who is on the channels of a bus.

    A store writes for one gateway, which it names itself. Where the options of a channel say `join_leave`, it publishes
    a `PresenceEvents`, as JSON, on the relay's own channel `EVENTS + channel`, in the same step in which users come or
    go.
    """

    @abc.abstractmethod
    async def update(self, changes: Sequence[PresenceChange]) -> list[Tally]:
        """Tell the bus what has changed; each channel stands in one change. Calls take effect in their order.

        Returns:
            For each change, what the bus now has of this gateway there, or `REFUSED`. See `refresh`.

        Raises:
            PresenceError: the bus is away or refuses all; the changes are kept perhaps.
        """

    @abc.abstractmethod
    async def refresh(self, channels: Sequence[str]) -> list[Tally]:
        """Say that this gateway lives, and tell of users who have gone with gateways that don't.

        A gateway that was not heard for `presence_ttl` seconds is found out by the others. It has nothing on the bus
        then, and users of its who are nowhere else were told to have gone.

        Returns:
            For each channel, what the bus has of this gateway there, or `REFUSED`: other numbers than expected mean
            that the bus has lost something, and that a change with `whole` is due. For some channels that is `NOTHING`
            also where it may have something: another Redis has taken over, which knows an earlier state perhaps.

        Raises:
            PresenceError: see above.
        """

    @abc.abstractmethod
    async def members(self, channel: str) -> list[Member]:
        """Return who is on a channel, in no order, each client once.

        Raises:
            TooManyMembers: they have more than `MAX_PRESENCE_BYTES`.
            PresenceError: see above; or the channel has no presence.
        """

    @abc.abstractmethod
    async def stats(self, channel: str) -> PresenceStats:
        """Return how many are on a channel.

        Raises:
            PresenceError: see above; or the channel has no presence.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Give back what it holds. What it has told the bus stays there, for `presence_ttl` seconds at most."""

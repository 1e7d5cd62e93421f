"""Calls of the scripts that keep presence, for one gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from itertools import chain, islice
from typing import Final, NamedTuple

import msgspec

from relay.brokers.envelope import seal
from relay.brokers.presence import PresenceChange
from relay.brokers.redis.presence_scripts import BURY, PART, REFRESH, UPDATE, PresenceKeys, presence_keys
from relay.brokers.redis.script_runner import Command
from relay.channel import EVENTS
from relay.member import Member
from relay.message import Message
from relay.namespaces import Namespaces

_KEYS: Final = 4

_Pair = tuple[str | bytes, bytes]


class Surplus(NamedTuple):
    """What is kept of a gateway on a channel, and should not be.

    Args:
        clients: ids.
        users: names.
    """

    clients: Set[bytes]
    users: Set[bytes]


NO_SURPLUS: Final = Surplus(frozenset(), frozenset())


class PresenceCalls:
    """Packs what is told the bus.

    Args:
        gateway: id of the gateway.
        prefix: of the bus.
        ttl: seconds after which a gateway that isn't heard counts as dead.
        namespaces: which channels have events.
    """

    def __init__(self, gateway: str, prefix: str, ttl: float, namespaces: Namespaces) -> None:
        self.gateway = gateway
        self._prefix = prefix
        self._ttl = max(1, round(ttl * 1000))
        self._options = namespaces.options

    def update(self, change: PresenceChange, surplus: Surplus = NO_SURPLUS) -> Iterator[Command]:
        """Go through the calls that make a change; there is one at least.

        Args:
            change: to be made.
            surplus: what was kept before and isn't named by a change with `whole`.
        """
        events = self._options(change.channel).join_leave
        left: Iterator[str | bytes] = chain(change.left, surplus.clients)
        members = _pairs((member.client, member) for member in change.members)
        gone = _pairs((member.name, member) for member in change.gone.values()) if events else iter(())
        gone = chain(gone, ((name, b"") for name in surplus.users))
        users = _pairs((member.name, member) for member in change.users.values()) if events else iter(())
        head = self._head(UPDATE.sha, change.channel, self.gateway, told=events and not change.whole)
        while True:
            part = list(islice(left, PART))
            pairs = [list(islice(members, PART - len(part)))]
            # Users come when all have gone.
            for more in (gone, users):
                pairs.append(list(islice(more, PART - len(part) - sum(map(len, pairs)))))
            sizes = (len(part), *map(len, pairs))
            yield (*head, self._ttl, *sizes, *part, *(word for some in pairs for pair in some for word in pair))
            if sum(sizes) < PART:
                return

    def refresh(self, channel: str) -> Command:
        """Return the call that lets this gateway live on."""
        return (*self._head(REFRESH.sha, channel, self.gateway, told=False), self._ttl)

    def bury(self, channel: str, gateway: str) -> Command:
        """Return the call that removes some of what a gateway has.

        Args:
            channel: its name.
            gateway: another one, which is dead: its users are told to have gone.
        """
        return self._head(BURY.sha, channel, gateway, told=self._options(channel).join_leave)

    def keys(self, channel: str) -> PresenceKeys:
        """Return the keys of this gateway on a channel."""
        return presence_keys(self._prefix, channel, self.gateway)

    def _head(self, sha: str, channel: str, gateway: str, *, told: bool) -> Command:
        """Return what all calls begin with."""
        keys = presence_keys(self._prefix, channel, gateway)
        events = f"{self._prefix}{EVENTS}{channel}" if told else ""
        return ("EVALSHA", sha, _KEYS, *keys, gateway, events, _event_head(channel) if told else b"")


def _event_head(channel: str) -> bytes:
    """Return the envelope of `PresenceEvents`, up to where the members begin."""
    return seal(Message(EVENTS + channel, b'{"channel":' + msgspec.json.encode(channel)))


def _pairs(members: Iterable[tuple[str, Member]]) -> Iterator[_Pair]:
    return ((name, msgspec.json.encode(member)) for name, member in members)

"""This gateway's clients on one channel, and what the bus has not been told of them yet. Pure.

    user of this gateway    a client comes        the last client goes    `end`
    absent                  present, to be told   -                       -
    present                 -                     lingering               -
    lingering               present               -                       absent, to be told

What is to be told is the difference to what the bus was told before. So a client that comes and goes between two
tellings is never told. What may not have reached the bus is told again, with what has come since.

    the bus may have taken this gateway for dead    all are told again: others heard perhaps that they have gone
    or else what it counts is wrong                 it has lost some: a change with `whole`; others hear nothing
    it has failed while too many came and went      as if it had lost some: who has gone is forgotten
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from relay.brokers.presence import NOTHING, PresenceChange, Tally
from relay.member import Member

MAX_GONE: Final = 1000
"""Clients and users who have gone, and of whom the bus has to be told, at most, beside as many as are here: while it
refuses, strangers may come and go for hours. With `info` at its largest they are 8 MiB."""


@dataclass(slots=True)
class _User:
    """A user of this gateway.

    Args:
        clients: how many it has here; 0: it lingers.
        member: the client that events tell of: the first one, or the last one when all have gone.
    """

    clients: int
    member: Member


class ChannelPresence:
    """One channel. Its users are known by `Member.name`.

    Args:
        channel: its name.
        now: loop time, in seconds.
        events: whether the bus keeps users, as others are told of them.

    Attributes:
        channel: see above.
        members: clients that are here now, by their ids.
        heard_at: when the bus was last told something of this channel, so that it knew that this gateway lives; in
            seconds.
    """

    __slots__ = (
        "_come",
        "_events",
        "_expected",
        "_gone",
        "_kept",
        "_left",
        "_new",
        "_sent",
        "_unsure",
        "_users",
        "_whole",
        "channel",
        "heard_at",
        "members",
    )

    def __init__(self, channel: str, now: float, *, events: bool) -> None:
        self.channel = channel
        self.members: dict[str, Member] = {}
        self.heard_at = now
        self._events = events
        self._users: dict[str, _User] = {}
        # Clients that the bus has to be told of, and those that it may have and that have gone. One that is in both is
        # here, and the bus may have it.
        self._come: dict[str, Member] = {}
        self._left: dict[str, None] = {}  # a set takes four times as much while it is empty
        # Users that the bus has to be told of; those that it may have and that have gone.
        self._new: dict[str, Member] = {}
        self._gone: dict[str, Member] = {}
        # Those of both of whom it isn't known what the bus was told last.
        self._unsure: dict[str, None] = {}
        # Whether the bus has lost something of which nothing is to be told.
        self._whole = False
        # What the bus is being told now, and what it must have then; and what it has since the last time, None: that
        # isn't known.
        self._sent: PresenceChange | None = None
        self._expected = NOTHING
        self._kept: Tally | None = NOTHING

    @property
    def changed(self) -> bool:
        """Whether the bus has to be told something."""
        return self._whole or bool(self._come or self._left or self._new or self._gone)

    @property
    def settled(self) -> bool:
        """Whether the bus knows all clients of this gateway."""
        return not self.changed and self._sent is None

    @property
    def whole(self) -> bool:
        """Whether the bus has to be told all."""
        return self._whole

    @property
    def over(self) -> bool:
        """Whether no client is here, no user lingers, and the bus knows it."""
        return not self.members and not self._users and not self.changed and self._sent is None

    @property
    def forgettable(self) -> bool:
        """Whether no client is here, no user lingers, and the bus didn't take the last change or answered wrongly."""
        return not self.members and not self._users and self._kept is None and self._sent is None

    @property
    def weight(self) -> int:
        """How many clients and users the bus has to be told of."""
        if self._whole:
            return len(self.members) + len(self._users) + len(self._gone)
        return len(self._come) + len(self._left) + len(self._new) + len(self._gone)

    def come(self, member: Member, *, told: bool = True) -> None:
        """Take a client; one that is here already has changed what it shows.

        Args:
            member: the client.
            told: whether others are told of its user; False: only of one without a user.
        """
        client = member.client
        known = client in self.members
        if known and client not in self._come:
            self._left[client] = None
        self.members[client] = self._come[client] = member
        if known or not told:
            return
        user = self._users.get(member.name)
        if user is not None:
            user.clients += 1
            return
        name = member.name
        self._users[name] = _User(1, member)
        if self._gone.pop(name, None) is None or name in self._unsure:  # else the bus has it still
            self._new[name] = member

    def go(self, client: str) -> Member | None:
        """Forget a client; nothing happens when it isn't here.

        Returns:
            The client if it was the last one of its user, who lingers now, until `end`; or else None.
        """
        member = self.members.pop(client, None)
        if member is None:
            return None
        if self._come.pop(client, None) is None:
            self._left[client] = None
        user = self._users.get(member.name)
        if user is None:
            return None  # others were not told of it
        user.clients -= 1
        if user.clients:
            return None
        user.member = member
        return member

    def end(self, name: str) -> None:
        """Forget a user who lingers; nothing happens when it doesn't."""
        user = self._users.get(name)
        if user is None or user.clients:
            return
        del self._users[name]
        if self._new.pop(name, None) is None or name in self._unsure:  # else the bus has never heard of it
            self._gone[name] = user.member

    def take(self) -> PresenceChange:
        """Return what the bus has to be told now; what becomes of it is told by `settle`, before the next one.

        A whole one restores what the bus was told before. Who has come or gone since is told by the one after it.
        """
        if self._whole:
            known = {name: user.member for name, user in self._users.items() if name not in self._new} | self._gone
            change = PresenceChange(self.channel, members=list(self.members.values()), users=known, whole=True)
            users = len(known)
            self._whole = False
        else:
            left = [client for client in self._left if client not in self._come]
            change = PresenceChange(self.channel, list(self._come.values()), left, self._new, self._gone)
            users = len(self._users)
            self._new, self._gone, self._unsure = {}, {}, {}
        self._come, self._left = {}, {}
        self._sent, self._expected = change, Tally(len(self.members), users if self._events else 0)
        return change

    def settle(self, tally: Tally, *, dead: bool) -> bool:
        """Be told that the bus has got what was taken; as `check`."""
        sent, self._sent, self._kept = self._sent, None, self._expected
        right = self.check(tally, dead=dead)
        if not right and sent is not None:
            self._tell_gone(sent)  # the bus tells nothing of users whom it had lost
        return right

    def check(self, tally: Tally, *, dead: bool) -> bool:
        """Be told what the bus has.

        Args:
            tally: of this gateway.
            dead: whether it may have taken this gateway for dead.

        Returns:
            False when it has lost some.
        """
        right = self._kept is None or tally == self._kept
        if dead:  # even if the numbers are right: others were told perhaps that some have gone
            self._come.update(self.members)
            self._left.update(dict.fromkeys(self.members))
            self._unsure.update(dict.fromkeys(self._users))
            self._new.update((name, user.member) for name, user in self._users.items())
        elif not right:
            self._whole = True
        if not right:
            self._kept = None  # until it was told again
        return right

    def fail(self) -> bool:
        """Be told that it isn't known whether the bus has got what was taken.

        Returns:
            False when too many have gone meanwhile: they are forgotten, and the bus has to be told all. Others were
            perhaps told that some of them have come.
        """
        sent, self._sent, self._kept = self._sent, None, None
        assert sent is not None, "something was taken"
        again = {one.client: one for one in sent.members if self.members.get(one.client) is one}
        self._come |= again
        self._left.update(dict.fromkeys((*sent.left, *again)))
        if sent.whole:
            self._whole = True
            return True
        self._unsure.update(dict.fromkeys(sent.users))
        for name, member in sent.users.items():
            if name in self._users:  # else it has gone meanwhile, and that is told
                self._new.setdefault(name, member)
        self._tell_gone(sent)
        return self._whole or not self._forget()

    def _forget(self) -> bool:
        """Forget those who have gone if they are too many, and tell all; return whether they were."""
        gone = len(self._left.keys() - self.members.keys()) + len(self._gone)
        if gone <= MAX_GONE + len(self.members):
            return False
        self._left, self._gone, self._unsure = {}, {}, {}
        self._whole = True
        return True

    def _tell_gone(self, sent: PresenceChange) -> None:
        """Tell again of users who have gone."""
        self._unsure.update(dict.fromkeys(sent.gone))
        for name, member in sent.gone.items():
            if name not in self._users:  # else it has come meanwhile, and that is told
                self._gone.setdefault(name, member)

"""The fan-out by the native library."""

from __future__ import annotations

import ctypes
import errno
from array import array
from collections.abc import Collection, Sequence
from typing import Final, cast

from relay.fan_out import library
from relay.fan_out.direct_socket import MOST_DESCRIPTORS, SKIPPED, Descriptors, DirectSocket
from relay.fan_out.direct_subscriber import DirectSubscriber
from relay.logs import Logger
from relay.subscribers import Group, Subscriber

LEAST: Final = 4
"""Subscribers from which on one call is cheaper than one `write` for each: by 5 %, and by a fifth from 32 on."""

UNKNOWN: Final = -errno.EIO
"""What the library says of a socket of which it can't know what it has taken."""

_FULL: Final = (0, -errno.EAGAIN)

log = Logger("relay.fan_out")


class _Members:
    """A group as the library takes it, until it changes.

    Attributes:
        direct: those that are written to directly.
        descriptors: theirs, in the same order.
        address: of the descriptors in memory.
        others: all others of the group.
        gather: whether some of `direct` gather what several channels bring them.
    """

    __slots__ = ("address", "descriptors", "direct", "gather", "others")

    def __init__(self, group: Group, descriptors: Descriptors) -> None:
        self.direct: list[DirectSubscriber] = []
        self.others: list[Subscriber] = []
        self.descriptors = array("i")
        for subscriber in group.values():
            # Those that are written to directly already are found without a call: groups may change with each flush.
            direct = getattr(getattr(subscriber, "_write", None), "__self__", None)
            if isinstance(direct, DirectSocket):
                place = direct.descriptor
            else:
                place = subscriber.open_directly(descriptors) if isinstance(subscriber, DirectSubscriber) else -1
            if place < 0:
                self.others.append(subscriber)
            else:
                self.direct.append(cast(DirectSubscriber, subscriber))
                self.descriptors.append(place)
        kinds: set[type[DirectSubscriber]] = set(map(type, self.direct))
        self.gather = any(kind.gathers for kind in kinds)
        self.address, _ = self.descriptors.buffer_info()


class DirectFanOut:
    """Writes by the native library; see `FanOut`.

    Args:
        io_uring: whether by io_uring; else by `send`.
        least: see `FanOut`.

    Raises:
        FanOutUnavailable: it can't.
    """

    def __init__(self, *, io_uring: bool, least: int = LEAST) -> None:
        self.least = least
        self._library = library.load()
        self._made: int | None = library.make(io_uring=io_uring)
        self._write = self._library.relay_fan_out_write
        self._descriptors = Descriptors()
        # What was not taken: what was meant, and what came of it, in as many numbers as the library says.
        self._left = array("i")
        self._left_address = 0

    def deliver(self, group: Group, data: bytes, without: Collection[Subscriber]) -> Collection[Subscriber]:
        """Write to the subscribers of a group that take it at once; see `FanOut`."""
        members = self._members(group)
        skipped = self._skip(without) if without else ()
        states = self._descriptors
        left = self._write(
            self._made,
            members.address,
            len(members.direct),
            states.address,
            MOST_DESCRIPTORS,
            data,
            len(data),
            self._left_address,
        )
        for descriptor, state in skipped:
            states.states[descriptor] = state
        others = _apart_from(without, members.others) if members.others else []
        if left > 0:
            results, direct = self._left, members.direct
            rests = _Rests()
            for place in range(0, 2 * left, 2):
                member, taken = direct[results[place]], results[place + 1]
                if rests.pass_on(member, data, taken):
                    others.append(cast(Subscriber, member))
            rests.end()
        elif left < 0:  # nothing was written
            others += _apart_from(without, cast(list[Subscriber], members.direct))
        return others

    def gathers(self, group: Group) -> bool:
        """Return whether subscribers of a group may get something of other groups, too; see `FanOut`."""
        return self._members(group).gather

    def deliver_together(self, deliveries: Sequence[tuple[Group, bytes]]) -> tuple[list[Collection[Subscriber]], int]:
        """Write to each subscriber what several groups have for it; see `FanOut`."""
        groups = [self._members(group) for group, _ in deliveries]
        self._make_room(3 * sum(len(members.direct) for members in groups))
        # Tuples, of which ctypes makes them faster than the caller could.
        given = [
            (members.address, len(members.direct), data, len(data))
            for members, (_, data) in zip(groups, deliveries, strict=True)
        ]
        joined = ctypes.c_uint64()
        left = self._library.relay_fan_out_write_together(
            self._made,
            (library.Delivery * len(groups))(*cast(list[library.Delivery], given)),
            len(groups),
            self._descriptors.address,
            MOST_DESCRIPTORS,
            self._left_address,
            ctypes.byref(joined),
        )
        others = [members.others.copy() for members in groups]
        if left > 0:
            results = self._left
            rests = _Rests()
            for place in range(0, 3 * left, 3):
                number = results[place]
                member, taken = groups[number].direct[results[place + 1]], results[place + 2]
                if rests.pass_on(member, deliveries[number][1], taken):
                    others[number].append(cast(Subscriber, member))
            rests.end()
        elif left < 0:  # nothing was written
            for rest, members in zip(others, groups, strict=True):
                rest += cast(list[Subscriber], members.direct)
        return cast(list[Collection[Subscriber]], others), joined.value

    def close(self) -> None:
        """Let go of the ring; nothing is written directly any more."""
        made, self._made = self._made, None
        if made is not None:
            self._library.relay_fan_out_close(made)

    def _members(self, group: Group) -> _Members:
        members = group.kept
        if not isinstance(members, _Members):
            members = group.kept = _Members(group, self._descriptors)
            self._make_room(2 * len(members.direct))
        return members

    def _make_room(self, numbers: int) -> None:
        """Make room for what may not be taken, in numbers."""
        if len(self._left) < numbers:
            self._left = array("i", bytes(self._left.itemsize * numbers))
            self._left_address, _ = self._left.buffer_info()

    def _skip(self, without: Collection[Subscriber]) -> list[tuple[int, int]]:
        """Let subscribers be passed over; return their descriptors, and the states that these get back afterwards."""
        states, skipped = self._descriptors.states, []
        for subscriber in without:
            # All that are written to directly are by now: the list of members has been made.
            direct = getattr(getattr(subscriber, "_write", None), "__self__", None)
            if isinstance(direct, DirectSocket):
                descriptor = direct.descriptor
                skipped.append((descriptor, states[descriptor]))
                states[descriptor] = SKIPPED
        return skipped


class _Rests:
    """What sockets have not taken whole in one call, as it is passed on."""

    def __init__(self) -> None:
        self._unknown: list[DirectSubscriber] = []

    def pass_on(self, member: DirectSubscriber, data: bytes, taken: int) -> bool:
        """Pass on the rest, or the error, of a socket; return whether it took nothing, and is still to be delivered to.

        Args:
            member: whose socket it is.
            data: what was written to it.
            taken: bytes that it took; or the error, as a negative number.
        """
        if taken > 0:
            # First of all: whatever else is written to it would stand in the middle of a frame.
            try:
                member.write_rest(data[taken:])
            except Exception:
                log.exception("rest not written")
                self._unknown.append(member)
            return False
        if taken == UNKNOWN:
            self._unknown.append(member)
            return False
        if taken not in _FULL:
            member.write_failed(-taken)
        return True

    def end(self) -> None:
        """Drop the sockets of which it is unknown what they have taken: after all rests, as others may hear of it."""
        for member in self._unknown:
            member.abort()


def _apart_from(without: Collection[Subscriber], subscribers: list[Subscriber]) -> list[Subscriber]:
    """Return subscribers, a copy, but not some of them."""
    if not without or not subscribers:
        return subscribers.copy()
    apart = {subscriber.id for subscriber in without}
    return [subscriber for subscriber in subscribers if subscriber.id not in apart]

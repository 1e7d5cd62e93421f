"""The fan-out by the native library."""

from __future__ import annotations

import errno
from array import array
from collections.abc import Collection
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
    """

    __slots__ = ("address", "descriptors", "direct", "others")

    def __init__(self, group: Group, descriptors: Descriptors) -> None:
        self.direct: list[DirectSubscriber] = []
        self.others: list[Subscriber] = []
        self.descriptors = array("i")
        for subscriber in group.values():
            # Those that are written to directly already are found without a call: groups may change with each flush.
            direct = getattr(getattr(subscriber, "_write", None), "__self__", None)
            if type(direct) is DirectSocket:
                place = direct.descriptor
            else:
                place = subscriber.open_directly(descriptors) if isinstance(subscriber, DirectSubscriber) else -1
            if place < 0:
                self.others.append(subscriber)
            else:
                self.direct.append(cast(DirectSubscriber, subscriber))
                self.descriptors.append(place)
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
        # What was not taken: pairs of a place in the list and what came of it.
        self._left = array("i")
        self._left_address = 0

    def deliver(self, group: Group, data: bytes, without: Collection[Subscriber]) -> Collection[Subscriber]:
        """Write to the subscribers of a group that take it at once; see `FanOut`."""
        members = group.kept
        if not isinstance(members, _Members):
            members = group.kept = _Members(group, self._descriptors)
            self._make_room(len(members.direct))
        skipped = self._skip(without)
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
        others = _apart_from(without, members.others)
        if left > 0:
            others += self._go_on(members.direct, data, left)
        elif left < 0:  # nothing was written
            others += _apart_from(without, cast(list[Subscriber], members.direct))
        return others

    def close(self) -> None:
        """Let go of the ring; nothing is written directly any more."""
        made, self._made = self._made, None
        if made is not None:
            self._library.relay_fan_out_close(made)

    def _make_room(self, count: int) -> None:
        """Make room for all of so many sockets to take less than everything."""
        if len(self._left) < 2 * count:
            self._left = array("i", bytes(2 * self._left.itemsize * count))
            self._left_address, _ = self._left.buffer_info()

    def _skip(self, without: Collection[Subscriber]) -> list[tuple[int, int]]:
        """Let subscribers be passed over; return their descriptors, and the states that these get back afterwards."""
        states, skipped = self._descriptors.states, []
        for subscriber in without:
            descriptor = subscriber.open_directly(self._descriptors) if isinstance(subscriber, DirectSubscriber) else -1
            if descriptor >= 0:
                skipped.append((descriptor, states[descriptor]))
                states[descriptor] = SKIPPED
        return skipped

    def _go_on(self, members: list[DirectSubscriber], data: bytes, left: int) -> list[Subscriber]:
        """Pass on the rests of what sockets have not taken whole; return the subscribers that have got nothing."""
        nothing: list[Subscriber] = []
        unknown = []
        results = self._left
        for place in range(0, 2 * left, 2):
            member, taken = members[results[place]], results[place + 1]
            if taken > 0:
                # First of all: whatever else is written to it would stand in the middle of a frame.
                try:
                    member.write_rest(data[taken:])
                except Exception:
                    log.exception("rest not written")
                    unknown.append(member)
            elif taken == UNKNOWN:
                unknown.append(member)
            else:
                if taken not in _FULL:
                    member.write_failed(-taken)
                nothing.append(cast(Subscriber, member))
        for member in unknown:
            member.abort()
        return nothing


def _apart_from(without: Collection[Subscriber], subscribers: list[Subscriber]) -> list[Subscriber]:
    """Return subscribers, a copy, but not some of them."""
    if not without or not subscribers:
        return subscribers.copy()
    apart = {subscriber.id for subscriber in without}
    return [subscriber for subscriber in subscribers if subscriber.id not in apart]

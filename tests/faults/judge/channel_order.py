"""The one order of a channel's messages, as far as all that is known of them proves one.

A message comes before another one when a session got it before, or when its offset in the same epoch is less. What was
published after another message was known to be there comes behind it. No order fits when these contradict each other.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from tests.faults.judge.evidence import Channel
from tests.faults.judge.message import NEVER, Message


class ChannelOrder:
    """An order that fits, if there is one.

    Args:
        channel: whose.
        limit: how much of the history is looked at.

    Attributes:
        messages: those that are known to have been published, in the order; without those that may have been twice.
        numbers: the number of each in the order.
        known: for each the place in the history by which it was there: it was known, or one behind it was.
        chains: for each a number: of two with the same one the order is proved.
        circle: messages each of which comes before the next one, and the last before the first; empty: there are none.
        early: messages of which the first was there before it was published, because those behind it were; empty: there
            are none.
    """

    def __init__(self, channel: Channel, limit: int = NEVER) -> None:
        found = [message for message in channel.messages if message.known < limit and not message.twice]
        numbers = {message: number for number, message in enumerate(found)}
        pairs = _pairs(channel, limit, numbers)
        after: list[list[int]] = [[] for _ in found]
        for first, second in pairs:
            after[first].append(second)
        turns = _sorted(after)
        known = [message.known for message in found]
        self.circle: list[Message] = []
        if len(turns) < len(found):
            self.circle = [found[number] for number in _circle(after, set(range(len(found))).difference(turns))]
            turns, pairs = list(range(len(found))), set()
        else:
            for number in reversed(turns):
                known[number] = min([known[number], *(known[later] for later in after[number])])
        self.early = [] if self.circle else _early(found, after, known)
        # Who comes before another one is known no later: this keeps their order.
        place = {number: turn for turn, number in enumerate(turns)}
        order = sorted(range(len(found)), key=lambda number: (known[number], place[number]))
        self.messages = [found[number] for number in order]
        self.known = [known[number] for number in order]
        self.numbers = {message: number for number, message in enumerate(self.messages)}
        self.chains = [0] * len(order)
        for turn, pair in enumerate(pairwise(order), start=1):
            self.chains[turn] = self.chains[turn - 1] + (pair not in pairs)

    def proves(self, earlier: int, later: int) -> bool:
        """Tell whether the order of two messages, by their numbers, is proved by positions or by what sessions got."""
        if self.chains[earlier] == self.chains[later]:
            return True
        one, other = self.messages[earlier], self.messages[later]
        return any(other.offset_in(epoch) for (epoch, _), _ in one.places)

    def first_known_after(self, index: int) -> int:
        """Return the number of the first message that is not proved to have been there at a place of the history."""
        return bisect_right(self.known, index)


def comes_before(channel: Channel, first: Message, second: Message, limit: int) -> tuple[int, ...]:
    """Return the operations that show that a message comes right before another one: by positions, or in a session."""
    for (epoch, offset), told in first.places:
        for (other, greater), then in second.places:
            if epoch == other and offset < greater and max(told, then) < limit:
                return told, then
    for session in channel.sessions:
        for (message, index), (later, then) in pairwise(session.received_before(limit)):
            if message is first and later is second:
                return index, then
    return ()


def _pairs(channel: Channel, limit: int, numbers: dict[Message, int]) -> set[tuple[int, int]]:
    """Return the numbers of messages of which one is known to come right before the other."""
    placed = [(place, number) for message, number in numbers.items() for place, told in message.places if told < limit]
    placed.sort()
    pairs = {(one, other) for ((epoch, _), one), ((same, _), other) in pairwise(placed) if epoch == same}
    for session in channel.sessions:
        heard = [numbers[message] for message, _ in session.received_before(limit)]
        pairs.update(pairwise(heard))
    return pairs


def _sorted(after: list[list[int]]) -> list[int]:
    """Return numbers so that each comes before those after it; those of circles, and behind them, are left out."""
    before = [0] * len(after)
    for behind in after:
        for number in behind:
            before[number] += 1
    turns = [number for number, count in enumerate(before) if not count]
    for number in turns:  # grows
        for later in after[number]:
            before[later] -= 1
            if not before[later]:
                turns.append(later)
    return turns


def _circle(after: list[list[int]], left: set[int]) -> list[int]:
    """Return a circle among the numbers that could not be sorted."""
    before: dict[int, int] = {}
    for number in left:
        for later in after[number]:
            if later in left:
                before[later] = number
    # Each of those left has one of them before it: walking back must come to a place again.
    walk: dict[int, int] = {}
    number = next(iter(left))
    while number not in walk:
        walk[number] = len(walk)
        number = before[number]
    return list(walk)[walk[number] :][::-1]


def _early(found: list[Message], after: list[list[int]], known: list[int]) -> list[Message]:
    """Return a message that was there before it was published, and those behind it up to one that shows it."""
    wrong = [number for number, message in enumerate(found) if known[number] < message.published]
    if not wrong:
        return []
    number = min(wrong, key=lambda number: found[number].published)
    way = [number]
    while found[number].known != known[number]:
        number = next(later for later in after[number] if known[later] == known[number])
        way.append(number)
    return [found[number] for number in way]

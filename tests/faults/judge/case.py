"""All that the rules look at."""

from __future__ import annotations

from tests.faults.judge.channel_order import ChannelOrder
from tests.faults.judge.evidence import Channel, Evidence
from tests.faults.judge.misses import Misses, find_misses
from tests.faults.operations import History


class Case:
    """A run, with what follows from its record.

    Args:
        history: what was recorded.

    Attributes:
        evidence: the history, sorted.
        orders: of the channels.
        disorders: of the channels without an order, how much of the history is enough to show it.
        misses: what sessions lack.
    """

    def __init__(self, history: History) -> None:
        self.evidence = Evidence(history)
        self.orders: dict[str, ChannelOrder] = {}
        self.disorders: dict[str, int] = {}
        self.misses = Misses([])
        for name, channel in self.evidence.channels.items():
            order = self.orders[name] = ChannelOrder(channel)
            if order.circle or order.early:
                self.disorders[name] = limit = _shortest(channel, len(history))
                self._find_misses_before(limit - 1, name)
            else:
                find_misses(self.evidence, channel, order, self.misses)

    def _find_misses_before(self, limit: int, name: str) -> None:
        """Look for what is missing where there is still an order, and did not come later, in disorder."""
        evidence = Evidence(self.evidence.history[:limit])
        evidence.calm = self.evidence.calm
        if name not in evidence.channels:
            return
        channel, misses = evidence.channels[name], Misses([])
        find_misses(evidence, channel, ChannelOrder(channel), misses)
        came = {
            session.name: {message.label for message in session.messages}
            for session in self.evidence.channels[name].sessions
        }
        self.misses.told += misses.told
        self.misses.kept += misses.kept
        self.misses.untold += [miss for miss in misses.untold if miss.message.label not in came[miss.session.name]]


def _shortest(channel: Channel, end: int) -> int:
    """Return how much of a history shows that a channel has no order."""
    begin = 0  # shows nothing; the whole does
    while end - begin > 1:
        middle = (begin + end) // 2
        order = ChannelOrder(channel, middle)
        begin, end = (begin, middle) if order.circle or order.early else (middle, end)
    return end

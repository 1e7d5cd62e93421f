"""The contract of the histories of channels: kept where the bus is, so that all gateways have the same.

`Broker.history` is the one of a bus. Messages get into it by `Broker.publish`: whether a channel has one, and how much
of it is kept, is said by its options (`relay.namespaces`). One suite, `tests/brokers/test_history.py`, runs over all
implementations.

Guarantees: the offsets of an epoch rise by one with each message, and the messages of a channel reach gateways in the
order of their offsets. An epoch never gives out the same offset twice, also when the bus was lost, restored from an old
copy, or replaced by a replica that lags: the history has another epoch then.
"""

from __future__ import annotations

import abc
from typing import Final

import msgspec

from relay.errors import BrokerError
from relay.message import PositionedMessage
from relay.position import Position

MAX_PAGE: Final = 1000
"""Messages that one reading returns at most."""

REPEAT_SECONDS: Final = 300
"""For how long the result of a message with an idempotency key is known: longer than any publisher tries again."""

POSITION_SECONDS: Final = 7 * 24 * 3600
"""For how long a channel's position is known after its last message, at least: a client that comes back after a weekend
learns that it has missed nothing. Afterwards the channel has another epoch. A look at it keeps it as well."""

FRESH_SECONDS: Final = 600
"""For how long the position of a channel is known where nothing was ever published, after the last look: a client that
may read could make as many of them as there are names. Gateways look at subscribed channels much more often."""


class HistoryError(BrokerError):
    """A history could not be read or changed.

    Args:
        detail: why, for logs and for back ends.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class HistoryPage(msgspec.Struct, frozen=True, gc=False):
    """What was read of a history.

    Args:
        top: the position of the newest message; with the offset 0 there has been none in this epoch.
        messages: in the order of their offsets.
        began: where this epoch began, as a position in the epoch before. Messages up to it are those of that epoch, as
            far as they were not lost: they had the same offsets there. Without an epoch: it began from nothing. None:
            that isn't known.
    """

    top: Position
    messages: list[PositionedMessage] = []
    began: Position | None = None

    def continues(self, since: Position) -> bool:
        """Return whether the messages are all that have come after a position, without a hole."""
        if since.epoch != self.top.epoch or since.offset > self.top.offset:
            return False
        missing = self.top.offset - since.offset
        return len(self.messages) == missing and (not missing or self.messages[0].position.offset == since.offset + 1)


class HistoryStore(abc.ABC):
    """The histories of all channels of a bus."""

    @abc.abstractmethod
    async def read(
        self, channel: str, *, since: Position | None = None, limit: int | None = None, newest_first: bool = False
    ) -> HistoryPage:
        """Return messages of a channel, and the position of its newest one.

        A channel without a history has a position, if its options say `positions`, and no messages. Readings that begin
        in one tick go to the bus together.

        Args:
            channel: its name.
            since: the messages after this offset, with `newest_first` before it; its epoch is not looked at. None: from
                the oldest on, with `newest_first` from the newest.
            limit: how many; 0: only the position; None: all that are kept. At most `MAX_PAGE` come.
            newest_first: the order in which messages are counted; they are returned in that order, too.

        Raises:
            HistoryError: the bus is away, or refuses, or the channel has no positions.
        """

    @abc.abstractmethod
    async def remove(self, channel: str) -> None:
        """Remove the messages of a channel; its position stays.

        Raises:
            HistoryError: see above.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Give back what it holds."""

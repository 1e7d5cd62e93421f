"""A history whose readings end when the test says so."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from relay.brokers.history import HistoryError, HistoryPage, HistoryStore
from relay.brokers.memory_history import MemoryHistoryStore
from relay.message import Message, PositionedMessage
from relay.namespaces import Namespaces
from relay.position import Position


class Asked(NamedTuple):
    """A reading that waits.

    Args:
        channel: of the history.
        answer: True: it gets what there is by then; False: what there was when it was asked for.
    """

    channel: str
    answer: asyncio.Future[bool]


class LateHistory(HistoryStore):
    """Histories in memory.

    Args:
        namespaces: what is kept.

    Attributes:
        asked: readings that wait for `answer` or `fail`, the first one first.
        readings: how many there were.
        given: how many messages they have given.
        late: whether readings wait; else they are answered at once.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._kept = MemoryHistoryStore(namespaces)
        self.asked: list[Asked] = []
        self.readings = self.given = 0
        self.late = False

    def append(self, channel: str, text: str) -> PositionedMessage:
        """Publish a message; return what the bus would bring."""
        return self._kept.append(Message(channel, text.encode()), self._namespaces.options(channel))

    async def read(
        self, channel: str, *, since: Position | None = None, limit: int | None = None, newest_first: bool = False
    ) -> HistoryPage:
        """See `HistoryStore.read`."""
        self.readings += 1
        page = await self._kept.read(channel, since=since, limit=limit, newest_first=newest_first)
        if self.late:
            answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self.asked.append(Asked(channel, answer))
            if await answer:
                page = await self._kept.read(channel, since=since, limit=limit, newest_first=newest_first)
        self.given += len(page.messages)
        return page

    def answer(self) -> None:
        """Answer all readings that wait."""
        asked, self.asked = self.asked, []
        for one in asked:
            one.answer.set_result(True)

    def fail(self) -> None:
        """Let all readings fail that wait."""
        asked, self.asked = self.asked, []
        for one in asked:
            one.answer.set_exception(HistoryError("Redis is away"))

    async def remove(self, channel: str) -> None:
        """See `HistoryStore.remove`."""
        await self._kept.remove(channel)

    async def close(self) -> None:
        """See `HistoryStore.close`."""

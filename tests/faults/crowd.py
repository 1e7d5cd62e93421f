"""All clients of a run: who listens and who publishes."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from tests.faults.http_publisher import HttpPublisher
from tests.faults.listeners import hear_events, hear_polls, hear_websocket
from tests.faults.record import Fate, Record, Sent
from tests.faults.slot import GAP_SECONDS, Slot
from tests.harness.conditions import wait_until
from tests.harness.history import Label, label_of, labelled
from tests.harness.numbered_publisher import NumberedPublisher, Session

CHANNELS = ("one", "two")
KINDS = {"websocket": hear_websocket, "events": hear_events, "polls": hear_polls}

WEBSOCKET_RATE = 40.0
HTTP_RATE = 10.0
MESSAGE_BYTES = 60

TOLD_SECONDS = 12.0
"""How long before the end of its connection a message may have been sent of which the end tells its publisher."""

LAST_SECONDS = 20.0
"""How long the last messages may take to reach everybody."""


class Crowd:
    """On each gateway and channel, a listener of each kind, a WebSocket that publishes, and a back end that does.

    An async context manager: when it is entered all have begun, and when it is left they have ended.

    Args:
        slots: of the gateways.
        record: where everything is noted; messages of WebSockets when all have been stopped.
    """

    def __init__(self, slots: list[Slot], record: Record) -> None:
        self._record = record
        self._places = list(itertools.product(slots, CHANNELS))
        self._stack = AsyncExitStack()
        self._listening: list[asyncio.Task[None]] = []
        self._requesting: list[asyncio.Task[None]] = []
        self._requests: list[HttpPublisher] = []
        self._websockets: list[tuple[str, NumberedPublisher]] = []

    async def __aenter__(self) -> Self:
        for slot, channel in self._places:
            for kind, hear in KINDS.items():
                name = f"{kind} {slot.number} {channel}"
                hearing = hear(name, slot, channel, self._record.hearings.append)
                self._listening.append(asyncio.create_task(hearing))
        await wait_until(lambda: len(self._record.hearings) >= len(self._listening), what="all listen")
        for slot, channel in self._places:
            name = f"w{slot.number}{channel}"
            publisher = NumberedPublisher(partial(slot.url, channel), name, WEBSOCKET_RATE, MESSAGE_BYTES)
            self._websockets.append((channel, await self._stack.enter_async_context(publisher)))
            request = HttpPublisher(f"h{slot.number}{channel}", slot, channel, self._record.sent, 1 / HTTP_RATE)
            self._requests.append(request)
            self._requesting.append(asyncio.create_task(request.run()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [*self._listening, *self._requesting]
        for task in tasks:
            task.cancel()
        await self._stack.__aexit__(kind, error, traceback)
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def finish(self) -> None:
        """Let nobody publish any more, and wait until all listeners have the last messages.

        Raises:
            ConditionTimeout: they don't get them.
        """
        # A gateway that has just lost its links may not have noticed: the last messages must not fall into that gap.
        # Nor may a listener be away that is closed for the gap before.
        await self._all_hear()
        await asyncio.sleep(GAP_SECONDS)
        await self._all_hear()
        for request in self._requests:
            request.stop()
        await asyncio.gather(*self._requesting, *(publisher.stop() for _, publisher in self._websockets))
        for channel, publisher in self._websockets:
            self._record.closed.update(publisher.endings)
            for session in publisher.sessions:
                self._record.sent |= _messages(channel, session)
        last: dict[str, set[Label]] = {channel: set() for channel in CHANNELS}
        for channel, publisher in self._websockets:
            session = publisher.sessions[-1]
            if session.ended is None:  # else the last fault has ended it, perhaps with its last message
                last[channel].add(Label(session.name, len(session.sent_at) - 1))
        await wait_until(
            lambda: not self._waiting(last),
            LAST_SECONDS,
            lambda: f"these wait for the last messages: {self._waiting(last)}",
        )

    async def _all_hear(self) -> None:
        """Wait until all listeners have got a message that is sent from now on."""
        now = time.monotonic()
        await wait_until(
            lambda: not self._silent(now), LAST_SECONDS, lambda: f"these hear nothing any more: {self._silent(now)}"
        )

    def _silent(self, since: float) -> list[str]:
        """Return the names of the listeners that have got no message which was sent since then."""
        sent = {
            Label(publisher.sessions[-1].name, number)
            for _, publisher in self._websockets
            for number, at in enumerate(publisher.sessions[-1].sent_at)
            if at >= since
        }
        return [
            hearing.listener
            for hearing in self._record.hearings
            if hearing.ended is None and sent.isdisjoint(label_of(payload) for payload, _ in hearing.received[-100:])
        ]

    def _waiting(self, last: dict[str, set[Label]]) -> list[str]:
        """Return the names of the listeners that wait for messages."""
        return [
            hearing.listener
            for hearing in self._record.hearings
            if hearing.ended is None
            and last[hearing.channel] - {label_of(payload) for payload, _ in hearing.received[-100:]}
        ]


def _messages(channel: str, session: Session) -> dict[Label, Sent]:
    """Return the messages of one connection, with what its end has told of them."""
    ended_at = session.sent_at[-1] if session.sent_at else time.monotonic()
    code = None if session.ended is None else session.ended[0]
    messages = {}
    for number, at in enumerate(session.sent_at):
        payload = labelled(session.name, number, MESSAGE_BYTES)
        messages[Label(session.name, number)] = sent = Sent(channel, at, payload)
        # The last one has perhaps not left. 1001 says that all others were taken and settled.
        last = session.ended is not None and number == len(session.sent_at) - 1
        if last or (session.ended is not None and code != 1001 and at > ended_at - TOLD_SECONDS):
            sent.fate = Fate.UNKNOWN
    return messages

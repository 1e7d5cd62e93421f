"""One poll of a channel that keeps its messages: its client is subscribed for no longer than it waits.

The history keeps what comes between two polls, and a cursor is a position. So any gateway serves the next poll, and
nothing is kept here for a client that may never come back.

    what comes first                 the answer
    messages since the cursor        these, as many as may wait for a client; the next poll gets the rest
    the cursor says nothing          `missed`, and where the channel goes on
    messages of one fan-out          these, and the position of the last one that has one
    a gap that could not be filled   nothing, and the same cursor: what it has missed the next poll finds out
    the end of its time              nothing
    the relay closes it              nothing, and why
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from relay.clients.context import Context
from relay.clients.session import Session
from relay.clients.socketless_client import SocketlessClient
from relay.errors import CustomDisconnect, Disconnect
from relay.position import Position
from relay.protocols import CloseMessage
from relay.protocols.poll import answer, last_position
from relay.replay import Replay


class HistoryPoll(SocketlessClient):
    """A poll that is answered once; see `Subscriber`.

    Args:
        context: what all clients share.
        session: the client's.
        due: loop time at which it is answered in any case.
        gone: tells whether the client has closed its connection, and will not get the answer.
    """

    __slots__ = ("_closing", "_cursor", "_due", "_elements", "_gone", "_missed", "_waiting")

    def __init__(self, context: Context, session: Session, due: float, gone: Callable[[], bool]) -> None:
        super().__init__(context, session)
        self._due = due
        self._gone = gone
        self._elements: list[bytes] = []
        self._cursor: Position | None = None
        self._missed = False
        self._closing: CloseMessage | None = None
        # Done when it is to be answered.
        self._waiting: asyncio.Future[None] = context.loop.create_future()

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""
        return sum(map(len, self._elements))

    async def answer(self) -> bytes:
        """Return the answer, as soon as there is one."""
        context, session = self._context, self.session
        context.registry.join(self, socket=False)
        context.counters.polls_open += 1
        try:
            if welcome := session.protocol.opened(session, context.welcome):
                self._elements.append(welcome)
            replay = session.join(self, passing=True)
            assert replay is not None, "its channel has a history"
            self._begin(replay)
            if not self._elements and not self._missed and self._due > context.loop.time():
                await self._waiting
        finally:
            self._end(1000)
        assert self._cursor is not None
        return answer(b"".join(self._elements), self._cursor, self._missed, self._closing)

    def deliver(self, data: bytes, count: int) -> None:
        """Answer with messages; see `Subscriber`. What comes later is in the history."""
        self._elements.append(data)
        # Messages that have none come live alone: the next poll goes on behind those that it can name.
        self._cursor = last_position(data) or self._cursor
        self._finish(1000)

    def send(self, data: bytes) -> None:
        """Answer with bytes that are no messages; see `SessionClient`."""
        self._elements.append(data)
        self._wake()

    def missed(self, channel: str, position: Position | None) -> None:
        """Answer: the next poll asks for what has come since its cursor, and can't be told that nothing is missing."""
        self._finish(1000)

    def check(self, now: float) -> None:
        """Answer if its time is over, or no client waits for the answer.

        Args:
            now: loop time, in seconds.
        """
        if now >= self._due or self._gone():
            self._wake()

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """Answer with why the relay ends it; nothing happens when it has ended already."""
        if self.session.open:
            self._context.counters.disconnects[why.name] += 1
            self._closing = self.session.protocol.closing(why)
            self._finish(self._closing.code)

    def _begin(self, replay: Replay) -> None:
        """Take what has come since the cursor, as much as may wait for a client."""
        self._cursor, self._missed = replay.position, not replay.recovered
        room = self._context.send_buffer_bytes
        for number, message in enumerate(replay.messages):
            element = self.encode(message)
            room -= len(element)
            if room < 0 and number:
                self._cursor = replay.messages[number - 1].position
                break
            self._elements.append(element)

    def _wake(self) -> None:
        if not self._waiting.done():
            self._waiting.set_result(None)

    def _finish(self, code: int) -> None:
        """End, so that nothing is delivered beyond the cursor of the answer."""
        self._end(code)
        self._wake()

    def _end(self, code: int) -> None:
        if self.session.leave():
            self.session.end()
            self._context.registry.leave(self, code, socket=False)
            self._context.counters.polls_open -= 1

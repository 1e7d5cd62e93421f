"""A client that polls: its messages wait in a backlog between its requests.

    state    a poll comes            messages come     its time is over        the relay closes it
    idle     answered, if messages   kept              ends with 1006          closed
             wait; else waiting
    waiting  the old one: 409        answered: idle    answered, empty: idle   answered, with why: gone
    closed   answered, with why:     -                 gone                    -
             gone

An idle client may be evicted, as if its time were over.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Protocol, cast

from relay.clients.context import Context
from relay.clients.session import Session
from relay.clients.socketless_client import SocketlessClient
from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.position import Position
from relay.protocols import CloseMessage, SingleChannelProtocol
from relay.protocols.poll import Backlog

LINGER_SECONDS = 10.0
"""How long a subscription is kept for a client that doesn't poll."""


class PollOwner(Protocol):
    """Keeps polling clients, so that their next requests find them; see `relay.clients.polling_clients`."""

    def idle(self, client: LongPoll) -> None:
        """Be told that a client's poll was answered. It may have to give up its place at once."""

    def busy(self, client: LongPoll) -> None:
        """Be told that a client has a poll again, or has ended."""

    def ended(self, client: LongPoll, *, answer_due: bool) -> None:
        """Be told that a client has ended; with `answer_due` it is still to be found, so that it can be told why."""

    def forget(self, client: LongPoll) -> None:
        """Be told that a client that has ended knows it, or hasn't come in time."""


class LongPoll(SocketlessClient):
    """A client that asks for its messages; see `Subscriber`.

    Args:
        context: what all clients share.
        session: the client's.
        owner: keeps it.
        network: where it comes from; see `relay.clients.idle_polls`.

    Attributes:
        number: higher than those of clients that came before.
        token: names it in cursors; a secret, because who knows it gets the messages.
    """

    __slots__ = (
        "_backlog",
        "_closing",
        "_due",
        "_gone",
        "_owner",
        "_waiting",
        "network",
        "number",
        "token",
    )

    def __init__(self, context: Context, session: Session, owner: PollOwner, network: str) -> None:
        super().__init__(context, session)
        self._owner = owner
        self._backlog = Backlog(context.send_buffer_bytes)
        self._closing: CloseMessage | None = None
        # The poll that waits for messages; its result tells whether it may answer.
        self._waiting: asyncio.Future[bool] | None = None
        self._gone: Callable[[], bool] = _stays
        # When the poll that waits is to be answered, or the client ends for want of polls: loop time.
        self._due = 0.0
        self.network = network
        self.number = int.from_bytes(session.id, "big")
        self.token = secrets.token_urlsafe(16)

    @property
    def channel(self) -> str:
        """The channel that it listens to."""
        channel = self.session.protocol.channel
        assert channel is not None
        return channel

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""
        return self._backlog.bytes

    def begin(self, missed: bool) -> None:
        """Be delivered to.

        Args:
            missed: whether the client has been subscribed before, and may have missed messages since.
        """
        if missed:
            self._backlog.add_gap()
        context, session = self._context, self.session
        if greeting := session.protocol.opened(session, context.welcome):
            self._backlog.add(greeting)
        context.registry.join(self, socket=False)
        context.counters.polls_open += 1
        replay = session.join(self)
        if (replay is not None or session.protocol.resume) and (resumed := session.protocol.resumed(session, replay)):
            self._backlog.add(resumed)

    def deliver(self, data: bytes, count: int) -> None:
        """Keep messages, and answer with them; see `Subscriber`."""
        if self._backlog.add(data) or self._leave_out(data, count):
            self._wake(True)
        else:
            self.close(Disconnect.SLOW_CONSUMER)

    def send(self, data: bytes) -> None:
        """Keep bytes that are no messages, in order with these; see `SessionClient`."""
        self.deliver(data, 0)

    def missed(self, channel: str, position: Position | None) -> None:
        """Say in the next answer that messages may have been missed, and let a poll that waits have it now."""
        self._backlog.add_gap()
        self._wake(True)

    async def poll(self, position: int, wait: float, gone: Callable[[], bool]) -> bytes:
        """Return the answer to a poll: at once when there are messages, or else when there are.

        Args:
            position: of the client.
            wait: seconds after which the answer is given without any.
            gone: tells whether the client has closed its connection, and will not get the answer.

        Raises:
            Refused: with 409; another poll has come with the same cursor, and this one must not answer.
        """
        loop = self._context.loop
        self._wake(False)
        self._owner.busy(self)
        if not self._backlog.confirm(position):
            self._backlog.add_gap()
        if wait and not self._backlog and self._closing is None:
            self._due, self._gone = loop.time() + wait, gone
            self._waiting = waiting = loop.create_future()
            try:
                if not await waiting:
                    raise Refused(409, "another poll with this cursor has come meanwhile")
            finally:
                if self._waiting is waiting:
                    self._waiting, self._gone = None, _stays
        self._due = loop.time() + LINGER_SECONDS
        closing = self._closing
        if closing is not None:
            self._owner.forget(self)
        elif self._waiting is None:
            self._owner.idle(self)
        return self._backlog.answer(self.token, closing)

    def check(self, now: float) -> None:
        """Answer the poll whose time is over, or end if none has come for too long.

        Args:
            now: loop time, in seconds.
        """
        if self._waiting is not None:
            if now >= self._due or self._gone():
                self._wake(True)
        elif now >= self._due:
            self.evict()
            self._owner.forget(self)

    def evict(self) -> None:
        """End as if no poll had come for too long."""
        self._end(1006)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End, and say so in the answer to the poll that waits, or to the next one that comes in time.

        Nothing happens when it has ended already. A slow consumer is told nothing: what it left would be kept on.
        """
        if not self.session.open:
            return
        self._context.counters.disconnects[why.name] += 1
        self._closing = self.session.protocol.closing(why)
        self._end(self._closing.code, answer_due=why is not Disconnect.SLOW_CONSUMER)
        self._wake(True)

    def _leave_out(self, data: bytes, count: int) -> bool:
        """Leave out messages for which there is no room; return False where that is not the policy."""
        counters = self._context.counters
        policy = self._context.slow_policy(self.channel)
        if count and policy == "latest":
            newest = cast(SingleChannelProtocol, self.session.protocol).newest(data)
            messages, size = self._backlog.conflate(newest)
            counters.deliveries_conflated += messages + count - 1
            counters.bytes_dropped += size + len(data) - len(newest)
            return True
        counters.count_dropped("skipped" if policy == "drop" else "closed", count, len(data))
        if count:
            self._backlog.add_gap()
        return count > 0 and policy == "drop"

    def _wake(self, answer: bool) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _end(self, code: int, *, answer_due: bool = False) -> None:
        if self.session.leave():
            self.session.end()
            self._context.registry.leave(self, code, socket=False)
            self._context.counters.polls_open -= 1
            self._owner.ended(self, answer_due=answer_due)


def _stays() -> bool:
    """Tell that no client waits that could be gone."""
    return False

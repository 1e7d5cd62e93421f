"""The subscription of one polling client, which outlives its requests."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from relay.auth.authenticator import Identity
from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.hub import Encoder
from relay.node import Interest
from relay.protocols import poll

if TYPE_CHECKING:
    from relay.clients.polls import Polls

LINGER_SECONDS = 10.0
"""How long a subscription is kept for a client that doesn't poll."""


class PollSubscription:
    """A member of a channel that is asked for its messages; see `Subscriber`.

    Args:
        polls: all subscriptions of this kind.
        channel: the channel that it listens to.
        identity: who it is.
        network: where it comes from; see `relay.clients.idle_polls`.
        interest: its claim on the channel; released when it ends.

    Attributes:
        number: higher than those of older ones.
        token: names it in cursors; a secret, because who knows it gets the messages.
    """

    __slots__ = (
        "_backlog",
        "_closed",
        "_due",
        "_gone",
        "_interest",
        "_polls",
        "_waiting",
        "channel",
        "echo",
        "id",
        "identity",
        "network",
        "number",
        "token",
    )

    def __init__(self, polls: Polls, channel: str, identity: Identity, network: str, interest: Interest) -> None:
        self._polls = polls
        self._backlog = poll.Backlog(polls.settings.send_buffer_bytes)
        self._interest: Interest | None = interest
        self._closed: Disconnect | CustomDisconnect | None = None
        # The poll that waits for messages; its result tells whether it may answer.
        self._waiting: asyncio.Future[bool] | None = None
        self._gone: Callable[[], bool] = _stays
        # When the poll that waits is to be answered, or the subscription ends for want of polls: loop time.
        self._due = 0.0
        self.id = polls.node.new_id()
        self.channel = channel
        self.identity = identity
        self.network = network
        self.number = int.from_bytes(self.id, "big")
        self.echo = False
        self.token = secrets.token_urlsafe(16)

    @property
    def encode(self) -> Encoder:
        """JSON; see `Subscriber`."""
        return poll.encode

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""
        return self._backlog.bytes

    def begin(self, greeting: bytes | None, missed: bool) -> None:
        """Be delivered to.

        Args:
            greeting: an encoded message that comes first.
            missed: whether the client has been subscribed before, and may have missed messages since.
        """
        if missed:
            self._backlog.add_gap()
        if greeting is not None:
            self._backlog.add(greeting)
        self._polls.node.hub.add(self.channel, self)

    def deliver(self, data: bytes, count: int) -> None:
        """Keep messages, and answer with them; see `Subscriber`."""
        if not self._backlog.add(data):
            counters = self._polls.counters
            counters.deliveries -= count
            counters.bytes_delivered -= len(data)
            counters.deliveries_dropped += count
            if self._polls.settings.slow_consumer == "close":
                self.close(Disconnect.SLOW_CONSUMER)
                return
            self._backlog.add_gap()
        self._wake(True)

    def gap(self) -> None:
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
        self._wake(False)
        self._polls.busy(self)
        if not self._backlog.confirm(position):
            self._backlog.add_gap()
        if wait and not self._backlog and self._closed is None:
            self._due, self._gone = self._polls.now() + wait, gone
            self._waiting = waiting = self._polls.loop.create_future()
            try:
                if not await waiting:
                    raise Refused(409, "another poll with this cursor has come meanwhile")
            finally:
                if self._waiting is waiting:
                    self._waiting, self._gone = None, _stays
        self._due = self._polls.now() + LINGER_SECONDS
        closed = self._closed
        if closed is not None:
            self._polls.told(self)
        elif self._waiting is None:
            self._polls.idle(self)
        return self._backlog.answer(self.token, None if closed is None else (closed.code, closed.reason))

    def check(self, now: float) -> None:
        """Answer the poll whose time is over, or end if none has come for too long.

        Args:
            now: loop time, in seconds.
        """
        if self._waiting is not None:
            if now >= self._due or self._gone():
                self._wake(True)
        elif now >= self._due:
            self._end(1006)
            self._polls.told(self)

    def evict(self) -> None:
        """End as if no poll had come for too long."""
        self._end(1006)

    def prepare_to_close(self) -> bool:
        """See `Closable`; what its client publishes comes by requests of their own."""
        return True

    def close(self, disconnect: Disconnect | CustomDisconnect) -> None:
        """End, and say so in the answer to the poll that waits, or to the next one that comes in time.

        Nothing happens when it has ended already. A slow consumer gets no farewell: what it left would be kept on.
        """
        if self._interest is None:
            return
        self._polls.counters.disconnects[disconnect.name] += 1
        self._closed = disconnect
        self._end(disconnect.code)
        if disconnect is not Disconnect.SLOW_CONSUMER:
            self._polls.keep_to_tell(self)
        self._wake(True)

    def _wake(self, answer: bool) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _end(self, code: int) -> None:
        if self._interest is not None:
            interest, self._interest = self._interest, None
            self._polls.node.hub.remove(self.channel, self)
            self._polls.node.release(interest)
            self._polls.remove(self, code)


def _stays() -> bool:
    """Tell that nobody waits who could be gone."""
    return False

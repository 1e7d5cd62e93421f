"""Polling clients, by the token in their cursors: so a client's next request finds its subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import Final

from relay.clients.context import Context
from relay.clients.idle_polls import IdlePolls
from relay.clients.long_poll import LongPoll
from relay.clients.session import Session
from relay.errors import Refused
from relay.logs import Logger
from relay.protocols.poll import Poll

SWEEP_SECONDS: Final = 0.25
"""How often deadlines are checked: one sweep for all, instead of a timer for each."""

IDLE_PART: Final = 2
"""Which part of all places idle clients may have: a half."""

SHARE_PART: Final = 16
"""Which part of all places the idle clients of one network may keep from newcomers: a sixteenth."""


log = Logger("relay.http")


class PollingClients:
    """All polling clients of a gateway.

    A client may begin any number of subscriptions over a single connection, and leave them. So idle ones have half of
    all places at most, and those of one network don't keep newcomers out of a full gateway. The newest of
    the network that holds most of them is evicted: a client that polls regularly was there before, or comes from
    elsewhere.

    Args:
        context: what all clients share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clients: dict[str, LongPoll] = {}
        # Clients without a poll now.
        self._idle = IdlePolls()
        # Clients that were closed, until their next poll has told them why, or doesn't come in time.
        self._closed: dict[str, LongPoll] = {}
        context.node.watch_gaps(self._gap)

    def __len__(self) -> int:
        """Return the number of polling clients."""
        return len(self._clients)

    def __iter__(self) -> Iterator[LongPoll]:
        """Go through the polling clients."""
        return iter(self._clients.values())

    def find(self, asked: Poll) -> LongPoll | None:
        """Return the client whose poll it is; None when this gateway hasn't got it, or no longer.

        Raises:
            Refused: with 400; its cursor is one of another channel.
        """
        token = "" if asked.cursor is None else asked.cursor.token
        found = self._clients.get(token) or self._closed.get(token)
        if found is not None and found.channel != asked.channel:
            raise Refused(400, "cursor is one of another channel")
        return found

    def begin(self, session: Session, network: str, missed: bool) -> LongPoll:
        """Return a new client.

        Args:
            session: its.
            network: where it comes from; see `network_of`.
            missed: whether it had a subscription that is no longer there.
        """
        client = LongPoll(self._context, session, self, network)
        self._clients[client.token] = client
        client.begin(missed)
        log.debug("connected", channel=client.channel, user=session.user, client=session.id.hex())
        return client

    def idle(self, client: LongPoll) -> None:
        """See `PollOwner`."""
        self._idle.add(client)
        if len(self._idle) > max(1, self._context.registry.places // IDLE_PART):
            self._evict()

    def busy(self, client: LongPoll) -> None:
        """See `PollOwner`."""
        self._idle.discard(client)

    def ended(self, client: LongPoll, *, answer_due: bool) -> None:
        """See `PollOwner`."""
        del self._clients[client.token]
        self._idle.discard(client)
        if answer_due:
            self._closed[client.token] = client
            if len(self._closed) > self._context.registry.places:  # more were closed in ten seconds than have places
                del self._closed[next(iter(self._closed))]

    def forget(self, client: LongPoll) -> None:
        """See `PollOwner`."""
        self._closed.pop(client.token, None)

    def make_room(self) -> None:
        """Give up the place of an idle client for a newcomer, if a network has more of them than its share."""
        if self._idle.largest > max(1, self._context.registry.places // SHARE_PART):
            self._evict()

    async def sweep(self) -> None:
        """Answer polls and end clients whose time is over, again and again, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._check()

    def _check(self) -> None:
        # Not within `sweep`: it would hold the last client until the next one comes.
        for client in [*self, *self._closed.values()]:
            client.check(self._context.loop.time())

    def _gap(self, channels: Collection[str]) -> None:
        concerned = frozenset(channels)
        for client in [*self]:
            if client.channel in concerned:
                client.gap()

    def _evict(self) -> None:
        self._context.counters.polls_evicted += 1
        self._idle.newest_of_largest().evict()

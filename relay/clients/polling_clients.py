"""Polling clients, by the token in their cursors: so a client's next request finds its subscription."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from relay.auth.authenticator import Identity, check_subscribe
from relay.clients.context import Context
from relay.clients.history_poll import HistoryPoll
from relay.clients.idle_polls import IdlePolls
from relay.clients.long_poll import LongPoll
from relay.clients.session import Session
from relay.errors import Disconnect, NotAllowed, Refused
from relay.logs import Logger
from relay.pauses import pause
from relay.position import Position
from relay.protocols.poll import Cursor, Poll

SWEEP_SECONDS: Final = 0.5
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
        # Polls of channels with histories, while they wait.
        self._asking: set[HistoryPoll] = set()

    def __len__(self) -> int:
        """Return the number of polling clients."""
        return len(self._clients)

    def __iter__(self) -> Iterator[LongPoll]:
        """Go through the polling clients."""
        return iter(self._clients.values())

    def __contains__(self, asked: Poll) -> bool:
        """Return whether there is a client with the cursor of a poll."""
        return self._find(asked) is not None

    def resume(self, asked: Poll, identity: Identity) -> LongPoll | None:
        """Return the client whose poll it is; None when this gateway hasn't got it, or no longer.

        Each poll brings a credential of its own, and what that gives counts from now on. A cursor alone gives nothing:
        that of another user's client is unknown.

        Args:
            asked: what it asks for.
            identity: who asks.

        Raises:
            Refused: with 400, its cursor is one of another channel; with 403, it may listen to the channel no longer,
                and the client is closed.
        """
        found = self._find(asked)
        if found is None or found.session.user != identity.user:
            return None
        if found.channel != asked.channel:
            raise Refused(400, "cursor is one of another channel")
        try:
            check_subscribe(identity, asked.channel)
        except NotAllowed as error:
            found.close(Disconnect.NOT_ALLOWED)
            raise Refused(403, str(error)) from None
        self._context.registry.refresh(found, identity)
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

    def of_history(self, channel: str) -> bool:
        """Return whether the messages of a channel are kept between two polls by its history, not here."""
        return self._context.namespaces.options(channel).history_size > 0

    def costs_nothing_new(self, asked: Poll) -> bool:
        """Return whether a poll goes on after another one, in a channel to which this gateway is subscribed.

        That is, whether an answer can have had its cursor. One that is ahead of this gateway counts as a new client's:
        it may be made up.
        """
        cursor, top = asked.cursor, self._context.node.recoveries.position(asked.channel)
        if top is None or not isinstance(cursor, Position):
            return False
        return cursor.epoch == top.epoch and cursor.offset <= top.offset

    async def answer(self, session: Session, wait: float, gone: Callable[[], bool]) -> bytes:
        """Return the answer to a poll of a channel with a history.

        Args:
            session: of the client, which is subscribed until then.
            wait: seconds after which it is answered without messages.
            gone: tells whether the client has closed its connection, and will not get the answer.
        """
        poll = HistoryPoll(self._context, session, self._context.loop.time() + wait, gone)
        self._asking.add(poll)
        try:
            return await poll.answer()
        finally:
            self._asking.discard(poll)

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

    def find_evictable(self) -> Callable[[], None] | None:
        """Return what gives up the place of an idle client for a newcomer; None: no network has more than its share."""
        return self._evict if self._idle.largest > max(1, self._context.registry.places // SHARE_PART) else None

    async def sweep(self) -> None:
        """Answer polls and end clients whose time is over, again and again, until cancelled."""
        while True:
            await pause(SWEEP_SECONDS)
            self._check()

    def _check(self) -> None:
        # Not within `sweep`: it would hold the last client until the next one comes.
        for client in [*self, *self._closed.values(), *self._asking]:
            client.check(self._context.loop.time())

    def _find(self, asked: Poll) -> LongPoll | None:
        token = asked.cursor.token if isinstance(asked.cursor, Cursor) else ""
        return self._clients.get(token) or self._closed.get(token)

    def _evict(self) -> None:
        self._context.counters.polls_evicted += 1
        self._idle.newest_of_largest().evict()

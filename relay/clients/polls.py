"""All polling clients of a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator

from relay.auth.authenticator import Identity
from relay.clients.idle_polls import IdlePolls
from relay.clients.long_poll import PollSubscription
from relay.errors import Refused
from relay.logs import Logger
from relay.message import Message
from relay.metrics.counters import Counters
from relay.node import Interest, Node
from relay.protocols import poll
from relay.refusals import REFUSED_BY_BUS, UNACKNOWLEDGED, cause
from relay.settings import Settings

SWEEP_SECONDS = 0.25
"""How often deadlines are checked: one sweep for all, instead of a timer for each."""

IDLE_PART = 2
"""Which part of all places idle subscriptions may have: a half."""

SHARE_PART = 16
"""Which part of all places the idle subscriptions of one network may keep from newcomers: a sixteenth."""

log = Logger("relay.http")


class Polls:
    """The subscriptions that polls keep open, and the way in to them.

    A client may begin any number of subscriptions over a single connection, and leave them. So idle subscriptions
    have half of all places at most, and those of one network don't keep newcomers out of a full gateway. The newest of
    the network that holds most of them gives way: a client that polls regularly was there before, or comes from
    elsewhere.

    Args:
        settings: of the gateway.
        node: hub and broker.
        counters: where clients are counted.
        places: how many clients of whatever kind the gateway serves at once.
        closed: returns why new clients are refused, or None.
    """

    def __init__(
        self,
        settings: Settings,
        node: Node,
        counters: Counters,
        places: int,
        closed: Callable[[], str | None],
    ) -> None:
        self.settings = settings
        self.node = node
        self.counters = counters
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self._places = places
        self._closed = closed
        self._subscriptions: dict[str, PollSubscription] = {}
        # Those without a poll now.
        self._idle = IdlePolls()
        # Those that were closed, until their clients have been told, or don't come in time.
        self._untold: dict[str, PollSubscription] = {}
        text = settings.welcome
        self._greeting = None if text is None else poll.encode(Message("", text.encode()))
        node.watch_gaps(self._gap)

    def __len__(self) -> int:
        """Return the number of polling clients."""
        return len(self._subscriptions)

    def __iter__(self) -> Iterator[PollSubscription]:
        """Go through the subscriptions."""
        return iter(self._subscriptions.values())

    def find(self, asked: poll.Poll) -> PollSubscription | None:
        """Return the subscription that a poll goes on with; None when this gateway hasn't got it, or no longer.

        Raises:
            Refused: with 400; it is one of another channel.
        """
        token = "" if asked.cursor is None else asked.cursor.token
        found = self._subscriptions.get(token) or self._untold.get(token)
        if found is not None and found.channel != asked.channel:
            raise Refused(400, "cursor is one of another channel")
        return found

    async def subscribe(self, channel: str, identity: Identity, network: str, missed: bool) -> PollSubscription:
        """Subscribe a client, and return when the bus has acknowledged it.

        Args:
            channel: the channel that it listens to.
            identity: who it is.
            network: where it comes from; see `network_of`.
            missed: whether it had a subscription that is no longer there.

        Raises:
            Refused: with 503; there is no room, the gateway is shutting down, or the bus doesn't acknowledge.
        """
        try:
            subscription = PollSubscription(self, channel, identity, network, await self._claim(channel))
        except Refused as refused:
            self.counters.connections_refused[cause(refused.status, refused.reason)] += 1
            raise
        self._subscriptions[subscription.token] = subscription
        self.counters.connections_accepted += 1
        self.counters.connections_open += 1
        self.counters.polls_open += 1
        subscription.begin(self._greeting, missed)
        log.debug("connected", channel=channel, user=identity.user, client=subscription.id.hex())
        return subscription

    async def _claim(self, channel: str) -> Interest:
        """Return a claim on a channel that the bus has acknowledged; raises as `subscribe` does."""
        self._check_open()
        interest, acknowledged = self.node.claim(channel)
        try:
            # The acknowledgement is shared: this neither cancels it nor raises what it holds.
            await asyncio.wait([acknowledged], timeout=min(self.settings.broker_timeout, poll.MAX_WAIT_SECONDS))
            if not acknowledged.done():
                raise Refused(503, UNACKNOWLEDGED)
            if acknowledged.cancelled() or acknowledged.exception() is not None:
                raise Refused(503, REFUSED_BY_BUS)
            self._check_open()
        except BaseException:
            self.node.release(interest)
            raise
        return interest

    def remove(self, subscription: PollSubscription, code: int) -> None:
        """Forget a subscription that has ended; called by itself.

        Args:
            subscription: one of these.
            code: why, as a WebSocket close code.
        """
        del self._subscriptions[subscription.token]
        self.busy(subscription)
        self.counters.connections_open -= 1
        self.counters.polls_open -= 1
        self.counters.connections_closed[code] += 1
        log.debug("disconnected", channel=subscription.channel, user=subscription.identity.user, code=code)

    def idle(self, subscription: PollSubscription) -> None:
        """Note that a subscription's poll was answered; called by itself. It may have to give way at once."""
        self._idle.add(subscription)
        if len(self._idle) > max(1, self._places // IDLE_PART):
            self._evict()

    def busy(self, subscription: PollSubscription) -> None:
        """Note that a subscription has a poll again, or has ended; called by itself."""
        self._idle.discard(subscription)

    def keep_to_tell(self, subscription: PollSubscription) -> None:
        """Keep a subscription that was closed, so that its client can be told why; called by itself."""
        self._untold[subscription.token] = subscription
        if len(self._untold) > self._places:  # more were closed within ten seconds than have places
            del self._untold[next(iter(self._untold))]

    def told(self, subscription: PollSubscription) -> None:
        """Keep it no longer; called by itself."""
        self._untold.pop(subscription.token, None)

    async def sweep(self) -> None:
        """Answer and end those whose time is over, again and again, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for subscription in [*self, *self._untold.values()]:
                subscription.check(self.now())

    def make_room(self) -> None:
        """Give the place of an idle subscription to a newcomer, if a network has more of them than its share."""
        if self._idle.largest > max(1, self._places // SHARE_PART):
            self._evict()

    def _gap(self, channels: Collection[str]) -> None:
        concerned = frozenset(channels)
        for subscription in [*self]:
            if subscription.channel in concerned:
                subscription.gap()

    def _evict(self) -> None:
        self.counters.polls_evicted += 1
        self._idle.newest_of_largest().evict()

    def _check_open(self) -> None:
        if reason := self._closed():
            raise Refused(503, reason)

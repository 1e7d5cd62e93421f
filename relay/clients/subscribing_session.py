"""A client's session with several channels: how its subscriptions begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from msgspec import structs

from relay.auth.authenticator import Identity, check_history, check_subscribe
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.channel import check_channel
from relay.clients import channel_queries, connecting
from relay.clients.joining import resumed
from relay.clients.registry import Connected
from relay.clients.session import Session, SessionClient, raw
from relay.clients.session_context import SessionContext
from relay.clients.subscription import Subscription
from relay.errors import RelayError, SubscribeError, SubscriptionError
from relay.limits.limit import Limit, reached
from relay.member import Member
from relay.protocols.multiplexed import (
    AS_USUAL,
    MultiplexedProtocol,
    ServerSubscription,
    Subscribed,
    SubscribeOptions,
)
from relay.protocols.request_errors import AlreadySubscribed, TokenRefused, TooManyRequests, TooManySubscriptions
from relay.recovery.reading import Reading
from relay.replay import Replay, Resume


class MultiplexedClient(SessionClient, Connected, Protocol):
    """A client of several channels; see `relay.clients.multiplexed_client` and `relay.clients.command_turns`."""

    def hold_deliveries(self) -> None:
        """Keep back what is delivered from now on."""

    def reply(self, data: bytes) -> bool:
        """Write the answer to a request, and behind it what was kept back; return whether some of it is still here."""

    def close_in_turn(self) -> None:
        """End it, as it lacks messages, when its turn has come."""

    def take_turn(self) -> None:
        """Call `MultiplexedSession.give_turn` when it is its turn."""

    def count(self, messages: int) -> None:
        """Count so many more messages."""


class SubscribingSession(Session):
    """One client and its channels; see `relay.protocols.multiplexed.MultiplexedSession`.

    Args:
        context: what such sessions share.
        identity: who the client is, and what it may do; see `relay.clients.connecting.unknown`.
        protocol: what it speaks.
        network: what its address is counted as; see `relay.limits.connections`.
    """

    __slots__ = ("_context", "_requests", "_subscribed_due", "_subscriptions")

    protocol: MultiplexedProtocol
    _client: MultiplexedClient | None

    def __init__(
        self, context: SessionContext, identity: Identity, protocol: MultiplexedProtocol, network: str = ""
    ) -> None:
        super().__init__(context.node, identity, protocol, None, network)
        self._context = context
        self._subscriptions: dict[str, Subscription] = {}
        # See `Rate`.
        self._subscribed_due = 0.0
        # What it has asked for beside subscriptions, and waits for; None: nothing.
        self._requests: set[asyncio.Task[None]] | None = None

    @property
    def channels(self) -> Collection[str]:
        """Names of the channels to which the client is subscribed, or is about to be."""
        return self._subscriptions

    def change_identity(self, identity: Identity) -> None:
        """Take another identity of the same user, and show what others are to see of it."""
        before, self.identity = self.identity, identity
        if before.info != identity.info and self.open:
            for subscription in self._subscriptions.values():
                if subscription.shown:
                    self._show(subscription.channel)

    # What the client asks for.

    def subscribe(self, channel: str, subscribed: Subscribed, options: SubscribeOptions = AS_USUAL) -> None:
        """Deliver a channel to the client."""
        check_channel(channel)
        if not options.granted and (not options.token or self.identity.rights is connecting.NOTHING):
            check_subscribe(self.identity, channel)
        cache = self._context.namespaces.options(channel).cache
        if options.resume and isinstance(options.resume, int) and not cache:
            check_history(self.identity, channel)
        if not self.open:
            raise SubscriptionError(channel, "the client is leaving")
        if channel in self._subscriptions:
            raise AlreadySubscribed(channel)
        self._check_limits(channel, asked=not options.granted)
        subscription = self._subscriptions[channel] = Subscription(channel, options, subscribed, self)
        subscription.task = self._context.requests.start(self._begin(subscription, options), self._abort)

    def unsubscribe(self, channel: str) -> None:
        """Deliver a channel no longer."""
        self._end(self._found(channel), SubscribeError(channel, "it was ended before it had begun"))

    # What others ask for.

    def subscribe_by_server(self, channel: str, subscription: ServerSubscription) -> None:
        """Subscribe the client because a back end says so; nothing happens when it is subscribed already."""
        if channel in self._subscriptions or not self.open:
            return
        subscribed = self.protocol.subscribed(self, channel, subscription)
        options = SubscribeOptions(granted=True, info=subscription.info)
        try:
            self.subscribe(channel, subscribed, options)
        except RelayError as error:
            subscribed(error)

    def revoke(self, channel: str) -> None:
        """End a subscription because a back end says so; see `Session`. One that has not begun yet fails."""
        subscription = self._subscriptions.get(channel)
        if subscription is None:
            return
        begun = subscription.begun
        self.unsubscribe(channel)
        if begun:
            self.protocol.unsubscribed(self, channel)

    def end(self) -> None:
        """Let go of the client, and let the protocol go; see `Session`."""
        if self._client is not None:
            self.protocol.release()
        super().end()

    def end_expired(self, subscription: Subscription) -> None:
        """End a subscription whose time is over; see `Subscription`. One that has not begun yet fails."""
        begun = subscription.begun
        self._end(subscription, TokenRefused("expired", "the token expired before the subscription began"))
        if begun:
            self.protocol.expired(self, subscription.channel)

    def may_as_subscriber(self, channel: str, letter: str) -> bool:
        """Return whether the client may do something in a channel because it is subscribed to it."""
        if letter not in self._context.namespaces.options(channel).subscriber_rights:
            return False
        subscription = self._subscriptions.get(channel)
        return subscription is not None and subscription.begun

    # How subscriptions begin and end.

    async def _begin(self, subscription: Subscription, options: SubscribeOptions) -> None:
        """Wait for what a subscription needs, all in all for the time for which clients wait; deliver its channel then.

        Nothing is claimed for a client before it is known that it may have it.
        """
        channel, until = subscription.channel, self._node.clock() + self._node.subscribe_timeout
        try:
            if options.token:
                grant = await connecting.authorize(self._context, options.token, channel, self.user)
                if self._subscriptions.get(channel) is not subscription:
                    return  # an authenticator of the program may not let itself be cancelled
                self._take(subscription, grant)
            interest, acknowledged = self._node.claim(channel)
            subscription.interest = interest
            events = await channel_queries.heard(self._context, self, channel, options, until)
            try:
                resume, reading = await resumed(self._node, interest, acknowledged, options.resume, until)
                self._deliver(subscription, resume, reading, watching=events is not None)
            finally:
                if events is not None:
                    self._node.release(events)
        except RelayError as error:
            subscription.task = None
            if self._subscriptions.get(channel) is subscription:
                self._end(subscription, error)
        finally:
            subscription.task = None

    def _deliver(self, subscription: Subscription, resume: Resume, reading: Reading | None, *, watching: bool) -> None:
        """Deliver a channel from now on, behind what the client is told of it."""
        channel, interest, subscribed = subscription.channel, subscription.interest, subscription.subscribed
        assert self._client is not None
        assert interest is not None
        assert subscribed is not None
        replay: Replay | None = None
        if interest.positioned:
            replay = self._node.recoveries.join(channel, resume, reading)
        subscription.subscribed = None
        if subscription.encode is None:
            subscription.encode = self.protocol.encoder(self._context.namespaces.options(channel))
        client, told = self._client, b""
        self._node.hub.add(channel, client, subscription.encode)
        if watching and (presence := self.protocol.presence) is not None:
            subscription.watching = True
            told = self._context.watchers.add(client, channel, presence)
        if interest.present:
            self._show(channel)
        subscribed(replay)  # last: what the client has asked for behind this finds all of it done
        if told and self._subscriptions.get(channel) is subscription:
            client.send(told)

    def _end(self, subscription: Subscription, failure: RelayError | None = None) -> None:
        """End a subscription.

        Args:
            subscription: of the client.
            failure: told when it has not begun; None: the client has left, and is told nothing.
        """
        channel, interest, subscribed = subscription.channel, subscription.interest, subscription.subscribed
        del self._subscriptions[channel]
        if subscription.expires_at is not None:
            self._context.registry.expirations.discard(subscription, subscription.expires_at)
        if subscription.task is not None:
            subscription.task.cancel()
        if subscribed is not None:
            if interest is not None:
                self._node.release(interest)
            if failure is not None:
                subscribed(failure)
            return
        if subscription.watching and self.protocol.presence is not None and self._client is not None:
            self._context.watchers.discard(self._client, channel, self.protocol.presence)
        assert interest is not None, "it has begun"
        self._drop(interest, subscription.encode)

    def _end_subscriptions(self) -> None:
        for subscription in list(self._subscriptions.values()):
            self._end(subscription)
        for task in self._requests or ():
            task.cancel()

    @property
    def _there(self) -> MultiplexedClient:
        """The client, which has not ended."""
        assert self._client is not None
        return self._client

    def _member(self, channel: str) -> Member:
        """Return what others see of the client on a channel."""
        return structs.replace(super()._member(channel), channel_info=raw(self._found(channel).info))

    # Tokens of channels.

    def _take(self, subscription: Subscription, grant: SubscriptionGrant) -> None:
        """Let a subscription be as a token says."""
        expirations = self._context.registry.expirations
        if subscription.expires_at is not None:
            expirations.discard(subscription, subscription.expires_at)
        subscription.info, subscription.data = grant.info, grant.data
        subscription.expires_at = None
        if grant.expires_at is not None:
            subscription.expires_at = grant.expires_at + connecting.RENEWAL_SECONDS
            subscription.leeway = grant.leeway + connecting.RENEWAL_SECONDS
            expirations.add(subscription, subscription.expires_at)

    def _found(self, channel: str) -> Subscription:
        subscription = self._subscriptions.get(channel)
        if subscription is None:
            raise SubscriptionError(channel, "the client is not subscribed")
        return subscription

    def _check_limits(self, channel: str, *, asked: bool) -> None:
        """Raise `TooManySubscriptions` or `TooManyRequests` when the client has too many, or asks too often for one.

        Args:
            channel: its name.
            asked: whether the client has asked for it.
        """
        limits = self._node.channel_limits
        failure: SubscriptionError | None = None
        if len(self._subscriptions) >= limits.most:
            failure = TooManySubscriptions(channel, f"a client can have {limits.most} subscriptions")
        elif asked:
            due = limits.subscribing.count(self._subscribed_due, self._node.clock(), 1)
            if due is None:
                rule = f"a client can subscribe to {limits.subscribing.per_second:g} channels a second"
                failure = TooManyRequests(channel, rule)
            else:
                self._subscribed_due = due
        if failure is not None:
            reached(Limit.CHANNELS, self._node.counters, user=self.user, client=self.id.hex())
            raise failure

    def _abort(self) -> None:
        """Drop the client, after a fault of the relay."""
        if self._client is not None:
            self._client.abort()

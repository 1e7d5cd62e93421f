"""A client's session: who it is, and to which channels it is subscribed. What protocols do, they do by it."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Protocol

import msgspec

from relay.auth.authenticator import EVERYTHING, Identity, check_publish, check_subscribe
from relay.brokers import Published
from relay.channel import check_channel
from relay.clients.pending_subscription import PendingSubscription, refusal
from relay.errors import CustomDisconnect, Disconnect, PublishError, SubscribeError, SubscriptionError
from relay.hub import Subscriber
from relay.interest import Interest
from relay.limits.channels import check_size
from relay.limits.limit import Limit, reached
from relay.member import Member
from relay.message import Kind, Message
from relay.node import Node
from relay.paused_sources import PausableSource
from relay.protocols import ClientProtocol, Outcome
from relay.recovery.reading import Reading
from relay.replay import Replay


class SessionClient(Subscriber, PausableSource, Protocol):
    """What a session needs of its client: to deliver to it, to pause it, to write to it, and to end it."""

    def send(self, data: bytes) -> None:
        """Write bytes, in order with what is delivered."""

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End the client."""


class Session:
    """One client as its protocol sees it; see `relay.protocols.Session`.

    Args:
        node: hub and broker.
        identity: who the client is, and what it may do.
        protocol: what it speaks.
        interest: this gateway's claim on `protocol.channel`, which the bus has acknowledged; None when there is no
            such channel. The session releases it.
        network: what its address is counted as; see `relay.limits.connections`.
        reading: what was read for it of the channel's history; see `Recoveries.prepare`. None: nothing.

    Attributes:
        id: 16 bytes, unique over all gateways.
        open: whether messages are delivered to the client: it is there, and has not begun to leave.
    """

    __slots__ = (
        "_client",
        "_further",
        "_interest",
        "_node",
        "_pending",
        "_reading",
        "_subscribed_due",
        "id",
        "identity",
        "network",
        "open",
        "protocol",
    )

    def __init__(
        self,
        node: Node,
        identity: Identity,
        protocol: ClientProtocol,
        interest: Interest | None,
        network: str = "",
        reading: Reading | None = None,
    ) -> None:
        self._node = node
        self.identity = identity
        self.protocol = protocol
        self.network = network
        self.id = node.new_id()
        # Claims on channels: on that of the protocol, and on others. Most clients have no others, and a dict for each
        # would cost 230 bytes.
        self._interest = interest
        self._further: dict[str, Interest] | None = None
        # None from `join` on: it may be a page of messages.
        self._reading = reading
        self.open = False
        # Set from `join` to `end`: they hold each other.
        self._client: SessionClient | None = None
        # See `Rate`.
        self._subscribed_due = 0.0
        # Subscriptions that the bus has not acknowledged yet.
        self._pending: dict[str, PendingSubscription] | None = None

    @property
    def user(self) -> str | None:
        """The client's name; None when it has none."""
        return self.identity.user

    @property
    def channels(self) -> Collection[str]:
        """Names of the channels to which the client is subscribed, or is about to be."""
        if self._further:
            return self._claims()
        return () if self._interest is None else (self._interest.channel,)  # looked at for all clients in a row

    def identify(self, identity: Identity) -> None:
        """Take another identity of the same user, and show what others are to see of it."""
        before, self.identity = self.identity, identity
        if before.info != identity.info:
            for channel, interest in self._claims().items():
                if interest.present and self.open and not (self._pending and channel in self._pending):
                    self._show(channel)

    def join(self, client: SessionClient, *, passing: bool = False) -> Replay | None:
        """Begin: messages are delivered to the client from now on.

        Args:
            client: the client.
            passing: whether the next message ends it. One without a user, each time another one, is told to no client.

        Returns:
            What it gets of the messages before, to be written in this step; None: they have no positions.
        """
        self._client = client
        self.open = True
        interest, replay = self._interest, None
        if interest is not None:
            if interest.positioned:
                reading, self._reading = self._reading, None
                replay = self._node.recoveries.join(interest.channel, self.protocol.resume, reading)
            self._node.hub.add(interest.channel, client)
            if interest.present:
                self._show(interest.channel, told=not passing or self.user is not None)
        return replay

    def withdraw(self) -> None:
        """Give back the claim of a client that has not joined, and won't."""
        interest, self._interest = self._interest, None
        if interest is not None:
            self._node.release(interest)

    def leave(self) -> bool:
        """End all subscriptions; what the client has sent can still be published.

        Returns:
            False when the client has left before.
        """
        if not self.open:
            return False
        self.open = False
        claims = self._claims()
        self._interest = self._further = None
        for channel, interest in claims.items():
            self._drop(channel, interest)
        return True

    def end(self) -> None:
        """Let go of the client, which has left: nothing of it is left to be published."""
        self._client = None

    def subscribe(self, channel: str, outcome: Outcome) -> None:
        """Deliver a channel to the client; see `relay.protocols.Session`."""
        check_channel(channel)
        check_subscribe(self.identity, channel)
        if not self.open:
            raise SubscriptionError(channel, "the client is leaving")
        claims = self._claims()
        if channel in claims:
            raise SubscriptionError(channel, "the client is subscribed already")
        self._check_limits(channel, len(claims))
        self._further = self._further or {}
        interest, acknowledged = self._node.claim(channel)
        self._further[channel] = interest
        prepared = self._node.recoveries.prepare(channel, 0) if interest.positioned else None
        awaited = acknowledged if prepared is None else prepared
        if awaited.done():
            self._settle(channel, outcome, refusal(channel, awaited))
            return
        self._pending = self._pending or {}
        timeout = self._node.subscribe_timeout
        self._pending[channel] = PendingSubscription(interest, awaited, outcome, self._settle, timeout)

    def unsubscribe(self, channel: str) -> None:
        """Deliver a channel no longer; see `relay.protocols.Session`."""
        claims = self._claims()
        if channel not in claims:
            raise SubscriptionError(channel, "the client is not subscribed")
        pending = self._forget(channel, claims[channel])
        if pending is not None:
            pending.outcome(SubscribeError(channel, "it was ended before the bus had acknowledged it"))

    def revoke(self, channel: str) -> None:
        """End a subscription because a back end says so, and let the protocol tell the client.

        Nothing happens when there is none. One that the bus has not acknowledged yet fails.
        """
        if channel not in self._claims():
            return
        begun = self._pending is None or channel not in self._pending
        self.unsubscribe(channel)
        if begun:
            self.protocol.unsubscribed(self, channel)

    def publish(self, channel: str, payload: bytes, kind: Kind, outcome: Outcome | None = None) -> None:
        """Send a message to all clients of a channel; see `relay.protocols.Session`."""
        if channel is not self.protocol.channel:  # else it was checked
            check_channel(channel)
        if self.identity.rights is not EVERYTHING:  # asking costs 0.15 µs, a tenth of taking in a message
            check_publish(self.identity, channel)
        if (client := self._client) is None:
            return  # it has ended, and can't be told of a failure
        node = self._node
        if node.channel_limits.sized is not None:
            check_size(node.channel_limits, channel, len(payload))
        node.counters.messages_received += 1
        node.counters.bytes_received += len(payload)
        receipt = None if outcome is None else partial(self._report, outcome)
        node.publish(Message(channel, payload, kind, self.id), client, receipt)

    def send(self, data: bytes) -> None:
        """Write bytes to the client; see `relay.protocols.Session`."""
        if self._client is not None and self.open:
            self._client.send(data)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End the connection; see `relay.protocols.Session`."""
        if self._client is not None:
            self._client.close(why)

    def _check_limits(self, channel: str, subscriptions: int) -> None:
        """Raise `SubscriptionError` when the client has too many subscriptions for one more, or too often a new one."""
        limits = self._node.channel_limits
        if subscriptions >= limits.most:
            rule = f"a client can have {limits.most} subscriptions"
        else:
            due = limits.subscribing.count(self._subscribed_due, self._node.clock(), 1)
            if due is not None:
                self._subscribed_due = due
                return
            rule = f"a client can subscribe to {limits.subscribing.per_second:g} channels a second"
        reached(Limit.CHANNELS, self._node.counters, user=self.user, client=self.id.hex())
        raise SubscriptionError(channel, rule)

    def _report(self, outcome: Outcome, result: Published | PublishError) -> None:
        """Tell the protocol what became of a publication, unless the client has left; see `relay.brokers.Receipt`."""
        if self.open:
            outcome(result if isinstance(result, PublishError) else None)

    def _claims(self) -> dict[str, Interest]:
        """Return the claims on all channels, by channel."""
        claims = {} if self._interest is None else {self._interest.channel: self._interest}
        return claims | self._further if self._further else claims

    def _settle(self, channel: str, outcome: Outcome, error: SubscribeError | None) -> None:
        """Deliver a channel from now on, as the bus has acknowledged it; or not, as it hasn't."""
        if self._pending is not None:
            self._pending.pop(channel, None)
        if error is None:
            assert self._client is not None
            interest = self._claims()[channel]
            if interest.positioned:
                self._node.recoveries.join(channel, 0)
            self._node.hub.add(channel, self._client)
            if interest.present:
                self._show(channel)
        else:
            self._forget(channel, self._claims()[channel])
        outcome(error)

    def _forget(self, channel: str, interest: Interest) -> PendingSubscription | None:
        """End a subscription; return it if the bus has not acknowledged it yet."""
        if interest is self._interest:
            self._interest = None
        else:
            assert self._further is not None
            del self._further[channel]
        return self._drop(channel, interest)

    def _drop(self, channel: str, interest: Interest) -> PendingSubscription | None:
        """Deliver a channel no longer, and give back the claim on it; see `_forget`."""
        self._node.release(interest)
        pending = None if self._pending is None else self._pending.pop(channel, None)
        if pending is not None:
            pending.stop()
        else:
            assert self._client is not None
            self._node.hub.remove(channel, self._client)
            if interest.present:
                self._node.presences.left(channel, self.id.hex())
        return pending

    def _show(self, channel: str, *, told: bool = True) -> None:
        """Let it be known that the client is on a channel; see `ChannelPresence.come`."""
        info = msgspec.UNSET if self.identity.info is None else msgspec.Raw(self.identity.info)
        self._node.presences.joined(channel, Member(self.id.hex(), self.user, info), told=told)

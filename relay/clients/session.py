"""A client's session: who it is, and to which channels it is subscribed. What protocols do, they do by it."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Protocol

import msgspec

from relay.auth.authenticator import EVERYTHING, Identity, check_publish
from relay.brokers import Published
from relay.channel import check_channel
from relay.errors import CustomDisconnect, Disconnect, PublishError
from relay.interest import Interest
from relay.limits.channels import check_size
from relay.member import Member
from relay.message import Encoder, Kind, Message
from relay.node import Node
from relay.paused_sources import PausableSource
from relay.protocols import ClientProtocol, Outcome
from relay.protocols.multiplexed import ServerSubscription
from relay.recovery.reading import Reading
from relay.replay import Replay
from relay.subscribers import Subscriber


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
        "_interest",
        "_node",
        "_reading",
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
        self._interest = interest
        # None from `join` on: it may be a page of messages.
        self._reading = reading
        self.open = False
        # Set from `join` to `end`: they hold each other.
        self._client: SessionClient | None = None

    @property
    def user(self) -> str | None:
        """The client's name; None when it has none."""
        return self.identity.user

    @property
    def channels(self) -> Collection[str]:
        """Names of the channels to which the client is subscribed, or is about to be."""
        return () if self._interest is None else (self._interest.channel,)  # looked at for all clients in a row

    def change_identity(self, identity: Identity) -> None:
        """Take another identity of the same user, and show what others are to see of it."""
        before, self.identity = self.identity, identity
        interest = self._interest
        if before.info != identity.info and interest is not None and interest.present and self.open:
            self._show(interest.channel)

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
        self._end_subscriptions()
        return True

    def end(self) -> None:
        """Let go of the client, which has left: nothing of it is left to be published."""
        self._client = None

    def revoke(self, channel: str) -> None:
        """End a subscription because a back end says so, and let the protocol tell the client.

        Nothing happens when there is none.
        """
        if self._interest is not None and self._interest.channel == channel:
            self._end_subscriptions()
            self.protocol.unsubscribed(self, channel)

    def subscribe_by_server(self, channel: str, subscription: ServerSubscription) -> None:
        """Do nothing: a client of one channel has no others."""

    def publish(self, channel: str, payload: bytes, kind: Kind, outcome: Outcome | None = None) -> None:
        """Send a message to all clients of a channel; see `relay.protocols.Session`."""
        if channel is not self.protocol.channel:  # else it was checked
            check_channel(channel)
        if self.identity.rights is not EVERYTHING:  # asking costs 0.15 µs, a tenth of taking in a message
            check_publish(self.identity, channel)
        self._give(Message(channel, payload, kind, self.id), outcome)

    def _give(self, message: Message, outcome: Outcome | None) -> None:
        """Give the client's message to the bus; see `publish`."""
        if (client := self._client) is None:
            return  # it has ended, and can't be told of a failure
        node, size = self._node, len(message.payload)
        if node.channel_limits.sized is not None:
            check_size(node.channel_limits, message.channel, size)
        node.counters.messages_received += 1
        node.counters.bytes_received += size
        receipt = None if outcome is None else partial(self._report, outcome)
        node.publish(message, client, receipt)

    def send(self, data: bytes) -> None:
        """Write bytes to the client; see `relay.protocols.Session`."""
        if self._client is not None and self.open:
            self._client.send(data)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End the connection; see `relay.protocols.Session`."""
        if self._client is not None:
            self._client.close(why)

    def _report(self, outcome: Outcome, result: Published | PublishError) -> None:
        """Tell the protocol what became of a publication, unless the client has left; see `relay.brokers.Receipt`."""
        if self.open:
            outcome(result if isinstance(result, PublishError) else None)

    def _end_subscriptions(self) -> None:
        interest, self._interest = self._interest, None
        if interest is not None:
            self._drop(interest)

    def _drop(self, interest: Interest, encode: Encoder | None = None) -> None:
        """Deliver a channel no longer, and give back the claim on it; `encode` as it was added to the hub with."""
        assert self._client is not None
        channel = interest.channel
        self._node.release(interest)
        self._node.hub.remove(channel, self._client, encode)
        if interest.present:
            self._node.presences.left(channel, self.id.hex())

    def _show(self, channel: str, *, told: bool = True) -> None:
        """Let it be known that the client is on a channel; see `ChannelPresence.come`."""
        self._node.presences.joined(channel, self._member(channel), told=told)

    def _member(self, channel: str) -> Member:
        """Return what others see of the client on a channel."""
        return Member(self.id.hex(), self.user, raw(self.identity.info))


def raw(info: bytes | None) -> msgspec.Raw | msgspec.UnsetType:
    """Return JSON as a member shows it; None: nothing."""
    return msgspec.UNSET if info is None else msgspec.Raw(info)

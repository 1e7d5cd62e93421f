"""The contract of a bus.

An implementation is a module that exports `broker_class`; `relay.brokers.schemes` finds it by the scheme of
`RELAY_BROKER_URL`. One contract suite, `tests/brokers/test_contract.py`, runs over all implementations.
"""

from __future__ import annotations

import abc
from asyncio import Future
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, cast

import msgspec

from relay.brokers.block_store import BlockStore
from relay.brokers.history import HistoryStore
from relay.brokers.presence import PRESENCE_TTL_SECONDS, PresenceStore
from relay.brokers.schemes import broker_class
from relay.brokers.shares import Share
from relay.errors import PublishError
from relay.message import Message, PositionedMessage
from relay.metrics.counters import Counters
from relay.namespaces import NO_NAMESPACES, Namespaces
from relay.position import Position


class Published(msgspec.Struct, frozen=True, gc=False):
    """What the bus has answered about one published message.

    Args:
        receivers: number of gateways that were subscribed to the channel when the bus took the message; 0: no client
            listens. Where `Broker.counts_all_receivers` is false it is a lower bound, as with a cluster, each node of
            which knows its own subscribers only.
        position: of the message in its channel's history; None: the channel counts none.
        repeated: whether a message with this idempotency key was published before. Nothing was published now, and all
            the rest is what was answered then.
    """

    receivers: int
    position: Position | None = None
    repeated: bool = False


Receipt = Callable[["Published | PublishError"], None]
"""Called once with the outcome of a message: what the bus says of it, or why it failed. Must not raise."""


class Source(Protocol):
    """A publisher, as the bus sees it: failures of its messages are reported to it."""

    @property
    def share(self) -> Share:
        """The part of the publish buffer that its messages wait in. `CLIENTS` must pause when told to."""

    def publish_failed(self, error: PublishError) -> None:
        """Take the failure of one or several messages of this source, which were not, or perhaps not, delivered.

        The broker has dropped all messages of this source that were still waiting. May be called again. Must not
        raise.
        """


class Sink(Protocol):
    """The receiver of everything from the bus: the node. Calls are synchronous and must not raise."""

    def receive(self, message: Message) -> None:
        """Take one message of a subscribed channel; calls come in the order of the bus."""

    def receive_positioned(self, message: PositionedMessage) -> None:
        """Take one message of a channel that counts its messages; see `receive`, with which it shares the order.

        Offsets that are missing, or come twice, and other epochs are the sink's to notice.
        """

    def gap(self, channels: Collection[str], seconds: float) -> None:
        """Take note that messages of some channels may have been missed.

        Every gap names its channels: those that were subscribed when the bus was no longer heard, also those that were
        unsubscribed since. Called once per channel and gap, when the channel is heard again or never will be.

        Args:
            channels: names of the channels, at least one, without the bus's prefix; the relay's own are left out, but
                for those that begin with `EVENTS`.
            seconds: length of the interval in which messages may have been missed; it ends now. It began when the
                first of the channels was last heard for certain.
        """

    def writable(self) -> None:
        """Let sources publish again, after `Broker.publish` has returned False or `Broker.hold_back` True."""


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """The options of a broker.

    Args:
        url: address of the bus.
        prefix: of every channel name on the bus, so that deployments can share one.
        ca_file: PEM file of the authority that signed the bus's certificate; None: the system's authorities.
        timeout: seconds to connect, and of silence before a link counts as dead.
        probe_interval: seconds between two end-to-end probes.
        publish_timeout: seconds for which a message waits while the bus is away.
        publish_buffer_bytes: bytes of all messages that wait for the bus or for its reply; see `relay.brokers.shares`.
        namespaces: which channels have positions, and how much of their histories is kept; and which have presence.
        presence_ttl: seconds after which what a gateway has told of its clients is gone, unless it is heard again.
    """

    url: str
    prefix: str = "relay:"
    ca_file: str | None = None
    timeout: float = 3.0
    probe_interval: float = 1.0
    publish_timeout: float = 5.0
    publish_buffer_bytes: int = 16 * 1024 * 1024
    namespaces: Namespaces = NO_NAMESPACES
    presence_ttl: float = PRESENCE_TTL_SECONDS


@dataclass(frozen=True, slots=True)
class BusState:
    """The numbers of a bus at one moment.

    Args:
        links: whether each link is logged in and in use, by name; empty for a bus without links.
        subscriptions: number of channels that are, or are about to be, subscribed to.
        buffered: bytes of messages that wait for the bus or for its reply, by share.
        server: id of the server that the bus runs on: gateways with different ones don't hear each other. None: there
            is no server, or it doesn't tell.
    """

    links: dict[str, bool]
    subscriptions: int
    buffered: dict[Share, int]
    server: str | None = None


class Broker(abc.ABC):
    """A bus between gateways.

    Guarantees: a message reaches every gateway whose subscription was acknowledged before it was published; all
    gateways, the publisher's own included, receive the messages of a channel in one and the same order; the messages
    of one source keep their order. A message is never sent twice. A broken guarantee is reported: to the source
    (`Source.publish_failed`) or to the node (`Sink.gap`). For channels with positions see `relay.brokers.history` too.

    Args:
        options: see `BrokerOptions`.
        sink: receives messages and gaps.
        counters: where the broker counts.
    """

    @abc.abstractmethod
    def __init__(self, options: BrokerOptions, sink: Sink, counters: Counters) -> None: ...

    @abc.abstractmethod
    async def start(self) -> None:
        """Begin to connect, and keep connected until `stop`. Does not wait for the bus."""

    @abc.abstractmethod
    async def drain(self) -> None:
        """Deliver the messages that wait, for the publish timeout at most; then those that are left fail."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Disconnect at once. The messages that still wait fail; no task is left behind."""

    @abc.abstractmethod
    def subscribe(self, channel: str) -> Future[None]:
        """Subscribe to a channel.

        Returns:
            A future that is done when the bus has acknowledged the subscription; it fails with
            `SubscribeError` when the bus refuses. It waits as long as the bus is away.
        """

    @abc.abstractmethod
    def unsubscribe(self, channel: str) -> None:
        """End a subscription; without one nothing happens."""

    @abc.abstractmethod
    def publish(
        self, message: Message, source: Source, receipt: Receipt | None = None, idempotency_key: str | None = None
    ) -> bool:
        """Accept a message. Never waits; a failure is reported later or during the call.

        A message of a channel that has positions gets one, and goes into the channel's history, in the same step in
        which it is published.

        Args:
            message: the message.
            source: gets its failure.
            receipt: called once, later or during the call, with the outcome of the message; the source gets a failure
                as well, unless it concerns this message alone. None: only failures matter, as for clients' messages.
            idempotency_key: names the message among those of its channel for `REPEAT_SECONDS`: whatever is published
                there with the same key is taken for the same message, and not published again. None: it is a message
                of its own.

        Returns:
            Whether the source may go on; after False a source of the clients' share must pause until `Sink.writable`.
        """

    @property
    @abc.abstractmethod
    def counts_all_receivers(self) -> bool:
        """Whether `Published.receivers` counts every gateway that was sent the message.

        False for a bus of several servers, each of which counts the gateways that are connected to it and no others.
        A survey must not end before all gateways have answered: then it has to know them by other means.
        """

    @property
    @abc.abstractmethod
    def congested(self) -> bool:
        """Whether the clients' share is used up: sources must keep what they have read until `Sink.writable`."""

    @abc.abstractmethod
    def hold_back(self) -> bool:
        """Return whether a source that publishes as fast as it can must pause until `Sink.writable`.

        It must pause earlier than other sources, so that it leaves them room.
        """

    @abc.abstractmethod
    def unsettled(self) -> set[Source]:
        """Return the sources of all messages that wait for the bus or for its reply. Goes through all of them."""

    @property
    @abc.abstractmethod
    def block_store(self) -> BlockStore:
        """Where the bus keeps which users are blocked. It is closed by `stop`."""

    @property
    @abc.abstractmethod
    def history(self) -> HistoryStore:
        """The histories of the channels. It is closed by `stop`."""

    @property
    @abc.abstractmethod
    def presence(self) -> PresenceStore:
        """Who is on the channels, on all gateways. It is closed by `stop`."""

    @property
    @abc.abstractmethod
    def problems(self) -> list[str]:
        """Why the bus doesn't work now, as sentences; empty when messages get through."""

    @property
    @abc.abstractmethod
    def state(self) -> BusState:
        """The current numbers of the bus, for metrics and status pages."""


def load_broker(options: BrokerOptions, sink: Sink, counters: Counters) -> Broker:
    """Make the broker that a URL names.

    Raises:
        ValueError: no bus has this scheme, or the URL can't be used; settings refuse it before.
    """
    return cast(type[Broker], broker_class(options.url))(options, sink, counters)

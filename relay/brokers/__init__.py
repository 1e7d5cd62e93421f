"""The contract of a bus, and how one is found by its URL.

An implementation is one module (or package) `relay.brokers.NAME` that exports `broker_class`; the scheme
of `RELAY_BROKER_URL` names it. One contract suite, `tests/brokers/test_contract.py`, runs over all of them.
"""

from __future__ import annotations

import abc
from asyncio import Future
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol
from urllib.parse import urlsplit

from relay.brokers.shares import Share
from relay.errors import PublishError
from relay.message import Message
from relay.metrics.counters import Counters

MODULES = {"memory": "memory", "redis": "redis", "rediss": "redis", "unix": "redis"}
"""URL scheme → module of `relay.brokers`."""


Receipt = Callable[["int | PublishError"], None]
"""Told, once, what became of a message: how many gateways heard it, or why it failed. Must not raise."""


class Source(Protocol):
    """Who publishes, so that a failure finds its way back."""

    @property
    def share(self) -> Share:
        """Which part of the buffer its messages wait in. `CLIENTS` must pause when told so."""

    def publish_failed(self, error: PublishError) -> None:
        """Be told, once or more often, that messages of this source were not, or perhaps not, delivered.

        The broker has dropped everything of this source that was still waiting. Must not raise.
        """


class Sink(Protocol):
    """Who receives from the bus: the node. All calls are synchronous and must not raise."""

    def receive(self, message: Message) -> None:
        """Take one message of a subscribed channel; calls come in the order of the bus."""

    def gap(self, channels: Collection[str], seconds: float) -> None:
        """Be told that messages may have been missed.

        Args:
            channels: names of the channels that are concerned, without the bus's prefix; clients' channels only.
            seconds: how long before now the interval began in which they may have been missed; it ends now.
        """

    def writable(self) -> None:
        """Be told that publishing may go on, after `Broker.publish` had returned False or `hold_back` True."""


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What a broker is made with.

    Args:
        url: where the bus is.
        prefix: of every channel name on the bus, so that deployments can share one.
        ca_file: PEM file of the authority that signed the bus's certificate; None: the system's.
        timeout: seconds to connect, and of silence before a link counts as dead.
        probe_interval: seconds between end-to-end probes.
        publish_timeout: seconds for which a message waits while the bus is away.
        publish_buffer_bytes: bytes of all messages that wait for the bus or for its answer; see `relay.brokers.shares`.
    """

    url: str
    prefix: str = "relay:"
    ca_file: str | None = None
    timeout: float = 3.0
    probe_interval: float = 1.0
    publish_timeout: float = 5.0
    publish_buffer_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BusState:
    """A bus at one moment, in numbers.

    Args:
        links: whether each link is logged in and in use, by name; none for a bus without links.
        subscriptions: channels that are, or are about to be, subscribed to.
        buffered: bytes of messages that wait for the bus, or for its answer, by the share that they count for.
        server: id of the server that the bus is: gateways with different ones don't hear each other. None when there is
            none, or it doesn't tell.
    """

    links: dict[str, bool]
    subscriptions: int
    buffered: dict[Share, int]
    server: str | None = None


class Broker(abc.ABC):
    """A bus between gateways.

    Guarantees: a message reaches every gateway whose subscription was acknowledged before it was published;
    all of them, the publisher's own included, receive the messages of a channel in one and the same order;
    the messages of one source keep theirs. A message is not sent twice. What can't be kept is told: to the
    source (`Source.publish_failed`) or to the node (`Sink.gap`).

    Args:
        options: see `BrokerOptions`.
        sink: who receives.
        counters: where the broker counts.
    """

    @abc.abstractmethod
    def __init__(self, options: BrokerOptions, sink: Sink, counters: Counters) -> None: ...

    @abc.abstractmethod
    async def start(self) -> None:
        """Begin to connect, and keep connected until `stop`. Does not wait for the bus."""

    @abc.abstractmethod
    async def drain(self) -> None:
        """Deliver what waits, for the publish timeout at most; what is left then has failed, and was told so."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Disconnect at once. Tells the sources of what still waits, and leaves no task behind."""

    @abc.abstractmethod
    def subscribe(self, channel: str) -> Future[None]:
        """Ask for the messages of a channel.

        Returns:
            A future that is done when the bus has acknowledged the subscription; it fails with
            `SubscribeError` when the bus refuses. It waits as long as the bus is away.
        """

    @abc.abstractmethod
    def unsubscribe(self, channel: str) -> None:
        """End a subscription; nothing happens when there is none."""

    @abc.abstractmethod
    def publish(self, message: Message, source: Source, receipt: Receipt | None = None) -> bool:
        """Accept a message. Never waits; a failure is told later or during the call.

        Args:
            message: what is sent.
            source: who is told when it fails.
            receipt: called once, later or during the call, when it is known what became of the message; the source
                is told of a failure as well, unless it concerns this message alone. None: the publisher doesn't ask.

        Returns:
            Whether the source may go on; after False one of the clients' share must pause until `Sink.writable`.
        """

    @property
    @abc.abstractmethod
    def counts_all_receivers(self) -> bool:
        """Whether the number in a receipt counts every gateway that was sent the message.

        False for a bus of several servers, each of which counts only the gateways that are connected to it: the number
        is a lower bound then. Surveys, which must not end before all gateways have answered, ask this.
        """

    @property
    @abc.abstractmethod
    def congested(self) -> bool:
        """Whether the clients' share is used up: sources must keep what they have read until `Sink.writable`."""

    @abc.abstractmethod
    def hold_back(self) -> bool:
        """Tell whether a source that publishes as fast as it can must pause until `Sink.writable`.

        Earlier than the others, so that it leaves them room.
        """

    @abc.abstractmethod
    def unsettled(self) -> set[Source]:
        """Return the sources of which messages wait for the bus or for its answer. Looks through all of them."""

    @property
    @abc.abstractmethod
    def problems(self) -> list[str]:
        """What keeps the bus from working now, in words; empty when messages get through."""

    @property
    @abc.abstractmethod
    def state(self) -> BusState:
        """The bus in numbers, for whoever watches it."""


def load_broker(options: BrokerOptions, sink: Sink, counters: Counters) -> Broker:
    """Make the broker that a URL names.

    Raises:
        KeyError: no broker has this scheme (settings refuse it before).
    """
    module = import_module(f"relay.brokers.{MODULES[urlsplit(options.url).scheme]}")
    broker_class: type[Broker] = module.broker_class
    return broker_class(options, sink, counters)

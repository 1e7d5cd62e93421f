"""A client that notes what it gets, and what became of its requests; and a node for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from relay.brokers import BrokerOptions
from relay.brokers.shares import Share
from relay.clients.registry import Registry
from relay.clients.session import Session
from relay.errors import CustomDisconnect, Disconnect, PublishError, RelayError
from relay.limits.channels import DEFAULT_CHANNELS, ChannelLimits
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.namespaces import NO_NAMESPACES, Namespaces
from relay.node import Node
from relay.position import Position


class Recorder:
    """The client; see `SessionClient` and `Connected`.

    Args:
        session: the client's, which it begins.
        registry: where it is counted; None: nowhere.

    Attributes:
        events: what was delivered and sent, in order.
        acts: what else was done to it: `pause`, `resume`, `abort`.
        failures: of messages that nobody was to be told of.
        closed: why it was closed.
    """

    share = Share.CLIENTS
    buffered = 0
    takes_turns = False

    def __init__(self, session: Session, registry: Registry | None = None) -> None:
        self.session = session
        self.delivered: list[bytes] = []
        self.sent: list[bytes] = []
        self.events: list[bytes] = []
        self.acts: list[str] = []
        self.failures: list[PublishError] = []
        self.closed: list[Disconnect | CustomDisconnect] = []
        self._registry = registry
        if registry is not None:
            registry.join(self)
        session.join(self)

    @property
    def id(self) -> bytes:
        return self.session.id

    @property
    def echo(self) -> bool:
        return self.session.protocol.echo

    @property
    def encode(self) -> Encoder:
        return self.session.protocol.encode

    def deliver(self, data: bytes, count: int) -> None:
        self.delivered.append(data)
        self.events.append(data)

    def missed(self, channel: str, position: Position | None) -> None:
        raise AssertionError(channel)

    def send(self, data: bytes) -> None:
        assert data
        self.sent.append(data)
        self.events.append(data)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        self.closed.append(why)

    def expire(self) -> None:
        self.close(Disconnect.TOKEN_EXPIRED)

    def abort(self) -> None:
        self.acts.append("abort")
        self.leave()

    def leave(self) -> None:
        """Go, as a client does whose socket has ended."""
        self.session.leave()
        self.session.end()
        if self._registry is not None:
            self._registry.leave(self, 1006)

    def prepare_to_close(self) -> bool:
        return True

    def refresh(self, expires_at: float | None) -> None:
        raise AssertionError(expires_at)

    def publish_failed(self, error: PublishError) -> None:
        self.failures.append(error)

    def pause_publishing(self) -> None:
        self.acts.append("pause")

    def resume_publishing(self) -> None:
        self.acts.append("resume")


class Outcomes:
    """What became of requests.

    Attributes:
        told: the names of requests, each with `done` or with the error.
        results: what they were told themselves, in the same order.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.results: list[Any] = []

    def of(self, name: str) -> Callable[[object], None]:
        """Return the outcome of a request that has a name here."""
        return partial(self._tell, name)

    def _tell(self, name: str, result: object) -> None:
        self.told.append((name, str(result) if isinstance(result, RelayError) else "done"))
        self.results.append(result)


class OnlyPublic:
    """The rights to channels whose names begin with `public`."""

    def may_subscribe(self, channel: str) -> bool:
        return channel.startswith("public")

    def may_publish(self, channel: str) -> bool:
        return channel.startswith("public")

    def may_read_history(self, channel: str) -> bool:
        return False

    def may_see_presence(self, channel: str) -> bool:
        return False


def a_node(
    timeout: float = 30.0, channels: ChannelLimits = DEFAULT_CHANNELS, namespaces: Namespaces = NO_NAMESPACES
) -> Node:
    """Return a node with a bus of its own, which it leaves in the tick in which the last client does."""
    options = BrokerOptions("memory://", timeout=timeout, namespaces=namespaces)
    return Node(options, Counters(), unsubscribe_delay=0, channels=channels)


def publish(node: Node, *channels: str) -> None:
    """Deliver a message of each channel."""
    for channel in channels:
        node.receive(Message(channel, b"1"))
    node.hub.flush()

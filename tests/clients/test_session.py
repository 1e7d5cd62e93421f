"""What a client's session keeps: its subscriptions, whatever the bus and the client do meanwhile."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Collection
from functools import partial

import pytest

from relay.auth.authenticator import ANONYMOUS, Identity
from relay.brokers import BrokerOptions
from relay.brokers.memory import MemoryBroker
from relay.brokers.shares import Share
from relay.clients.session import Session
from relay.errors import (
    ChannelError,
    CustomDisconnect,
    Disconnect,
    NotAllowed,
    PublishError,
    PublishRefused,
    RelayError,
    SubscribeError,
    SubscriptionError,
)
from relay.limits.channels import DEFAULT_CHANNELS, ChannelLimits
from relay.message import Encoder, Kind, Message
from relay.metrics.counters import Counters
from relay.namespaces import NO_NAMESPACES, Namespaces
from relay.node import Node
from relay.position import Position
from relay.protocols import ClientProtocol, Outcome
from relay.protocols.plain import Plain
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.harness.conditions import stays_true, wait_until
from tests.protocols.multiplexed import Multiplexed


class Recorder:
    """A client that notes what it gets; see `SessionClient`."""

    share = Share.CLIENTS

    def __init__(self, session: Session) -> None:
        self.session = session
        self.delivered: list[bytes] = []
        self.sent: list[bytes] = []
        self.closed: list[Disconnect | CustomDisconnect] = []
        self.failures: list[PublishError] = []

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

    def missed(self, channel: str, position: Position | None) -> None:
        raise AssertionError(channel)

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        self.closed.append(why)

    def publish_failed(self, error: PublishError) -> None:
        self.failures.append(error)

    def pause_publishing(self) -> None: ...

    def resume_publishing(self) -> None: ...


class Outcomes:
    """What became of requests."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def of(self, name: str) -> Outcome:
        """Return the outcome of a request that has a name here."""
        return partial(self._tell, name)

    def _tell(self, name: str, error: RelayError | None) -> None:
        self.told.append((name, "done" if error is None else str(error)))


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
    options = BrokerOptions("memory://", timeout=timeout, namespaces=namespaces)
    return Node(options, Counters(), unsubscribe_delay=0, channels=channels)


def joined(node: Node, protocol: ClientProtocol | None = None, identity: Identity = ANONYMOUS) -> Recorder:
    """Return a client that has come in."""
    protocol = Multiplexed() if protocol is None else protocol
    interest = None if protocol.channel is None else node.claim(protocol.channel)[0]
    session = Session(node, identity, protocol, interest)
    client = Recorder(session)
    session.join(client)
    return client


def publish(node: Node, *channels: str) -> None:
    """Deliver a message of each channel."""
    for channel in channels:
        node.receive(Message(channel, b"1"))
    node.hub.flush()


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


async def test_a_client_has_the_channel_of_its_protocol_from_the_beginning() -> None:
    node = a_node()
    client = joined(node, Plain("a", echo=False))
    assert list(client.session.channels) == ["a"]
    publish(node, "a", "b")
    assert len(client.delivered) == 1
    assert client.session.leave()
    assert not client.session.leave()
    publish(node, "a")
    assert len(client.delivered) == 1
    assert list(client.session.channels) == []
    await wait_until(lambda: node.interests == 0)


async def test_subscriptions_begin_and_end(outcomes: Outcomes) -> None:
    node = a_node()
    client = joined(node)
    for name in "ab":
        client.session.subscribe(name, outcomes.of(name))
    assert outcomes.told == [("a", "done"), ("b", "done")]
    assert set(client.session.channels) == {"a", "b"}
    publish(node, "a", "b", "c")
    assert len(client.delivered) == 2
    client.session.unsubscribe("a")
    publish(node, "a", "b")
    assert len(client.delivered) == 3
    assert node.hub.channels == ["b"]
    client.session.leave()
    assert node.hub.channels == []
    await wait_until(lambda: node.interests == 0)
    assert len(outcomes.told) == 2


async def test_what_a_client_cannot_do(outcomes: Outcomes) -> None:
    node = a_node()
    client = joined(node, identity=Identity("ann", OnlyPublic()))
    session = client.session
    assert session.user == "ann"
    with pytest.raises(ChannelError):
        session.subscribe("a b", outcomes.of("x"))
    with pytest.raises(NotAllowed, match="subscribe"):
        session.subscribe("a", outcomes.of("x"))
    with pytest.raises(SubscriptionError, match="not subscribed"):
        session.unsubscribe("a")
    with pytest.raises(ChannelError):
        session.publish("", b"", Kind.TEXT, outcomes.of("x"))
    with pytest.raises(NotAllowed, match="publish"):
        session.publish("a", b"", Kind.TEXT, outcomes.of("x"))
    session.subscribe("public", outcomes.of("public"))
    with pytest.raises(SubscriptionError, match="already"):
        session.subscribe("public", outcomes.of("x"))
    session.leave()
    with pytest.raises(SubscriptionError, match="leaving"):
        session.subscribe("public 2".replace(" ", "-"), outcomes.of("x"))
    assert outcomes.told == [("public", "done")]
    assert node.counters.messages_received == 0


async def test_subscriptions_of_a_client_are_bounded_pending_ones_included(
    outcomes: Outcomes, late_bus: LateBus
) -> None:
    node = a_node()
    client = joined(node)
    for number in range(DEFAULT_CHANNELS.most):
        client.session.subscribe(f"a{number}", outcomes.of(""))
        if number % 2:
            late_bus.acknowledge(f"a{number}")
    with pytest.raises(SubscriptionError, match=str(DEFAULT_CHANNELS.most)):
        client.session.subscribe("one-more", outcomes.of("x"))
    assert "one-more" not in late_bus.futures
    client.session.unsubscribe("a0")
    client.session.subscribe("one-more", outcomes.of("x"))
    client.session.leave()


async def test_a_client_that_goes_through_ever_new_channels_is_refused_until_it_has_rested(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name that it leaves stays subscribed to on the bus for a second, so a number of channels is no limit."""
    node = a_node()
    now = node.clock()
    monkeypatch.setattr(node, "clock", lambda: now)
    client = joined(node)
    burst = DEFAULT_CHANNELS.subscribing.burst
    for number in range(burst):
        client.session.subscribe(f"a{number}", outcomes.of("x"))
        client.session.unsubscribe(f"a{number}")
    with pytest.raises(SubscriptionError, match=r"can subscribe to 12\.8 channels a second"):
        client.session.subscribe("one-more", outcomes.of("x"))
    assert node.interests == burst
    assert node.counters.limits_reached == {"channels": 1}
    now += 1.0
    for number in range(12):
        client.session.subscribe(f"b{number}", outcomes.of("x"))
    with pytest.raises(SubscriptionError):
        client.session.subscribe("one-more", outcomes.of("x"))


async def test_how_many_channels_a_client_may_have_is_a_setting(outcomes: Outcomes) -> None:
    node = a_node(channels=ChannelLimits.of(2))
    client = joined(node)
    for name in "ab":
        client.session.subscribe(name, outcomes.of("x"))
    with pytest.raises(SubscriptionError, match="a client can have 2 subscriptions"):
        client.session.subscribe("c", outcomes.of("x"))
    assert node.counters.limits_reached == {"channels": 1}


async def test_nothing_is_delivered_before_the_bus_has_acknowledged(outcomes: Outcomes, late_bus: LateBus) -> None:
    node = a_node()
    client = joined(node)
    client.session.subscribe("a", outcomes.of("a"))
    assert list(client.session.channels) == ["a"], "or is about to be"
    publish(node, "a")
    assert (client.delivered, outcomes.told) == ([], [])
    late_bus.acknowledge("a")
    await wait_until(lambda: outcomes.told)
    assert outcomes.told == [("a", "done")]
    publish(node, "a")
    assert len(client.delivered) == 1
    assert late_bus.callbacks == 0


@pytest.mark.parametrize("how", ["refused", "cancelled", "late"])
async def test_a_subscription_that_the_bus_does_not_acknowledge_fails(
    outcomes: Outcomes, late_bus: LateBus, how: str
) -> None:
    node = a_node(timeout=0.01 if how == "late" else 30)
    client = joined(node)
    client.session.subscribe("a", outcomes.of("a"))
    future = late_bus.futures["a"]
    if how == "refused":
        late_bus.refuse("a")
    elif how == "cancelled":
        future.cancel()
    await wait_until(lambda: outcomes.told)
    reason = "the bus did not acknowledge it in time" if how == "late" else "the bus refused it"
    assert outcomes.told == [("a", str(SubscribeError("a", reason)))]
    assert list(client.session.channels) == []
    assert node.hub.channels == []
    assert not future._callbacks
    await wait_until(lambda: node.interests == 0)
    client.session.subscribe("a", outcomes.of("again"))
    late_bus.acknowledge("a")
    await wait_until(lambda: len(outcomes.told) == 2)
    assert outcomes.told[1] == ("again", "done")


async def test_a_subscription_that_is_refused_at_once(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(broker: MemoryBroker, channel: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(SubscribeError(channel, "NOPERM"))
        future.exception()
        return future

    monkeypatch.setattr(MemoryBroker, "subscribe", refuse)
    client = joined(a_node())
    client.session.subscribe("a", outcomes.of("a"))
    assert outcomes.told == [("a", str(SubscribeError("a", "the bus refused it")))]
    assert list(client.session.channels) == []


@pytest.mark.parametrize("acknowledged_in_this_tick", [False, True])
async def test_a_subscription_that_ends_before_it_has_begun_fails(
    outcomes: Outcomes, late_bus: LateBus, acknowledged_in_this_tick: bool
) -> None:
    """Also when the acknowledgement has come, and the event loop has not told of it."""
    node = a_node()
    client = joined(node)
    client.session.subscribe("a", outcomes.of("first"))
    if acknowledged_in_this_tick:
        late_bus.acknowledge("a")
    client.session.unsubscribe("a")
    ended = str(SubscribeError("a", "it was ended before the bus had acknowledged it"))
    assert outcomes.told == [("first", ended)]
    assert late_bus.callbacks == 0
    await asyncio.sleep(0)
    assert node.hub.channels == []
    publish(node, "a")
    assert client.delivered == []
    assert outcomes.told == [("first", ended)]


async def test_a_subscription_may_be_ended_and_begun_anew_in_one_tick(outcomes: Outcomes, late_bus: LateBus) -> None:
    node = a_node()
    client = joined(node)
    client.session.subscribe("a", outcomes.of("first"))
    late_bus.acknowledge("a")
    client.session.unsubscribe("a")
    client.session.subscribe("a", outcomes.of("second"))
    assert [name for name, _ in outcomes.told] == ["first", "second"]
    await asyncio.sleep(0)
    publish(node, "a")
    assert len(client.delivered) == 1
    assert len(outcomes.told) == 2


@pytest.mark.parametrize("acknowledged_in_this_tick", [False, True])
async def test_a_client_that_leaves_while_subscriptions_wait_leaves_nothing(
    outcomes: Outcomes, late_bus: LateBus, caplog: pytest.LogCaptureFixture, acknowledged_in_this_tick: bool
) -> None:
    node = a_node(timeout=0.02)
    client = joined(node)
    for number in range(10):
        client.session.subscribe(f"a{number}", outcomes.of("x"))
        if acknowledged_in_this_tick:
            late_bus.acknowledge(f"a{number}")
    futures = list(late_bus.futures.values())
    client.session.leave()
    client.session.end()
    assert not any(future._callbacks for future in futures)
    await wait_until(lambda: node.interests == 0)
    assert await stays_true(lambda: not outcomes.told, 0.03), "their deadlines are over"
    assert node.hub.channels == []
    assert not caplog.records


async def test_subscribing_again_and_again_while_the_bus_is_away_keeps_nothing(
    outcomes: Outcomes, late_bus: LateBus
) -> None:
    node = a_node()
    client = joined(node)
    for number in range(DEFAULT_CHANNELS.subscribing.burst):
        client.session.subscribe("a", outcomes.of("x"))
        assert late_bus.callbacks == 1
        client.session.unsubscribe("a")
        assert len(outcomes.told) == number + 1
    assert node.interests == 1
    assert late_bus.callbacks == 0
    await wait_until(lambda: node.interests == 0)


async def test_a_back_end_ends_subscriptions(outcomes: Outcomes, late_bus: LateBus) -> None:
    node = a_node()
    client = joined(node)
    for name in ("begun", "pending"):
        client.session.subscribe(name, outcomes.of(name))
    late_bus.acknowledge("begun")
    await wait_until(lambda: outcomes.told)
    client.session.revoke("other")
    assert client.sent == []
    client.session.revoke("begun")
    assert len(client.sent) == 1
    client.session.revoke("pending")
    assert len(client.sent) == 1, "it has been told by the outcome of its request"
    assert [name for name, _ in outcomes.told] == ["begun", "pending"]
    assert list(client.session.channels) == []


async def test_a_plain_client_is_closed_when_a_back_end_unsubscribes_it() -> None:
    client = joined(a_node(), Plain("a", echo=False))
    client.session.revoke("a")
    assert client.closed == [Disconnect.UNSUBSCRIBED]


async def test_what_is_published_is_counted_and_its_outcome_told(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = a_node()
    client = joined(node)
    client.session.subscribe("a", outcomes.of("a"))
    client.session.publish("a", b"12", Kind.TEXT, outcomes.of("heard"))
    client.session.publish("b", b"3", Kind.BINARY, outcomes.of("unheard"))
    client.session.publish("a", b"4", Kind.TEXT)
    assert outcomes.told[1:] == [("heard", "done"), ("unheard", "done")]
    assert (node.counters.messages_received, node.counters.bytes_received) == (3, 4)

    def refuse(broker: MemoryBroker, message: Message, source: object, receipt: object) -> bool:
        assert callable(receipt)
        receipt(PublishRefused("NOPERM"))
        return True

    monkeypatch.setattr(MemoryBroker, "publish", refuse)
    client.session.publish("a", b"5", Kind.TEXT, outcomes.of("refused"))
    assert outcomes.told[-1] == ("refused", str(PublishRefused("NOPERM")))


async def test_a_client_that_leaves_can_still_publish_but_is_told_nothing(outcomes: Outcomes) -> None:
    """What was read of it before is published; see `MessageReader`."""
    node = a_node()
    client = joined(node)
    other = joined(node)
    other.session.subscribe("a", outcomes.of("other"))
    client.session.leave()
    client.session.publish("a", b"1", Kind.TEXT, outcomes.of("published"))
    node.hub.flush()
    assert len(other.delivered) == 1
    client.session.send(b"answer")
    assert client.sent == []
    client.session.close(Disconnect.GOING_AWAY)
    assert client.closed == [Disconnect.GOING_AWAY]
    client.session.end()
    client.session.publish("a", b"2", Kind.TEXT, outcomes.of("too late"))
    client.session.close(Disconnect.GOING_AWAY)
    node.hub.flush()
    assert len(other.delivered) == 1
    assert len(client.closed) == 1
    assert outcomes.told == [("other", "done")]


@pytest.mark.parametrize("pending", [False, True])
async def test_a_client_that_has_left_is_freed_without_the_garbage_collector(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, pending: bool
) -> None:
    if pending:
        LateBus(monkeypatch)
    node = a_node()
    gc.collect()
    gc.disable()
    try:
        client = joined(node)
        leftovers = [weakref.ref(client)]
        for name in "abc":
            client.session.subscribe(name, outcomes.of(name))
        client.session.publish("a", b"1", Kind.TEXT, outcomes.of("published"))
        node.hub.flush()
        client.session.leave()
        client.session.end()
        del client
        assert [leftover() for leftover in leftovers] == [None]
    finally:
        gc.enable()


def test_what_a_session_offers_is_what_the_contract_asks() -> None:
    """So a protocol that runs with the recording session runs with this one."""
    from relay.protocols import Session as Contract

    verbs: Collection[str] = [name for name in vars(Contract) if not name.startswith("_")]
    assert set(verbs) >= {"subscribe", "unsubscribe", "publish", "send", "close"}
    assert all(hasattr(Session, name) for name in verbs)

"""What a session with several channels keeps: its subscriptions, whatever the bus and the client do meanwhile."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from relay.auth.authenticator import Identity
from relay.brokers.memory import MemoryBroker
from relay.errors import (
    ChannelError,
    NotAllowed,
    SubscribeError,
    SubscriptionError,
)
from relay.limits.channels import DEFAULT_CHANNELS, ChannelLimits
from relay.message import Kind
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.recorder import OnlyPublic, Outcomes, publish
from tests.clients.session_world import World
from tests.harness.conditions import stays_true, wait_until


async def test_subscriptions_begin_and_end(outcomes: Outcomes) -> None:
    world = World()
    node = world.node
    client, session = world.join()
    for name in "ab":
        session.subscribe(name, outcomes.of(name))
    assert outcomes.told == [("a", "done"), ("b", "done")]
    assert set(session.channels) == {"a", "b"}
    publish(node, "a", "b", "c")
    assert len(client.delivered) == 2
    session.unsubscribe("a")
    publish(node, "a", "b")
    assert len(client.delivered) == 3
    assert node.hub.channels == ["b"]
    session.leave()
    assert node.hub.channels == []
    await wait_until(lambda: node.interests == 0)
    assert len(outcomes.told) == 2


async def test_what_a_client_cannot_do(outcomes: Outcomes) -> None:
    world = World()
    node = world.node
    _, session = world.join(identity=Identity("ann", OnlyPublic()))
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
    world = World()
    _, session = world.join()
    for number in range(DEFAULT_CHANNELS.most):
        session.subscribe(f"a{number}", outcomes.of(""))
        if number % 2:
            late_bus.acknowledge(f"a{number}")
    with pytest.raises(SubscriptionError, match=str(DEFAULT_CHANNELS.most)):
        session.subscribe("one-more", outcomes.of("x"))
    assert "one-more" not in late_bus.futures
    session.unsubscribe("a0")
    session.subscribe("one-more", outcomes.of("x"))
    session.leave()


async def test_a_client_that_goes_through_ever_new_channels_is_refused_until_it_has_rested(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name that it leaves stays subscribed to on the bus for a second, so a number of channels is no limit."""
    world = World()
    node = world.node
    now = node.clock()
    monkeypatch.setattr(node, "clock", lambda: now)
    _, session = world.join()
    burst = DEFAULT_CHANNELS.subscribing.burst
    for number in range(burst):
        session.subscribe(f"a{number}", outcomes.of("x"))
        session.unsubscribe(f"a{number}")
    with pytest.raises(SubscriptionError, match=r"can subscribe to 12\.8 channels a second"):
        session.subscribe("one-more", outcomes.of("x"))
    assert node.interests == burst
    assert node.counters.limits_reached == {"channels": 1}
    now += 1.0
    for number in range(12):
        session.subscribe(f"b{number}", outcomes.of("x"))
    with pytest.raises(SubscriptionError):
        session.subscribe("one-more", outcomes.of("x"))


async def test_how_many_channels_a_client_may_have_is_a_setting(outcomes: Outcomes) -> None:
    world = World(channels=ChannelLimits.of(2))
    node = world.node
    _, session = world.join()
    for name in "ab":
        session.subscribe(name, outcomes.of("x"))
    with pytest.raises(SubscriptionError, match="a client can have 2 subscriptions"):
        session.subscribe("c", outcomes.of("x"))
    assert node.counters.limits_reached == {"channels": 1}


async def test_nothing_is_delivered_before_the_bus_has_acknowledged(outcomes: Outcomes, late_bus: LateBus) -> None:
    world = World()
    node = world.node
    client, session = world.join()
    session.subscribe("a", outcomes.of("a"))
    assert list(session.channels) == ["a"], "or is about to be"
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
    world = World(timeout=0.01 if how == "late" else 30)
    node = world.node
    _, session = world.join()
    session.subscribe("a", outcomes.of("a"))
    future = late_bus.futures["a"]
    if how == "refused":
        late_bus.refuse("a")
    elif how == "cancelled":
        future.cancel()
    await wait_until(lambda: outcomes.told)
    reason = "the bus did not acknowledge it in time" if how == "late" else "the bus refused it"
    assert outcomes.told == [("a", str(SubscribeError("a", reason)))]
    assert list(session.channels) == []
    assert node.hub.channels == []
    assert not future._callbacks
    await wait_until(lambda: node.interests == 0)
    session.subscribe("a", outcomes.of("again"))
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
    _, session = World().join()
    session.subscribe("a", outcomes.of("a"))
    assert outcomes.told == [("a", str(SubscribeError("a", "the bus refused it")))]
    assert list(session.channels) == []


@pytest.mark.parametrize("acknowledged_in_this_tick", [False, True])
async def test_a_subscription_that_ends_before_it_has_begun_fails(
    outcomes: Outcomes, late_bus: LateBus, acknowledged_in_this_tick: bool
) -> None:
    """Also when the acknowledgement has come, and the event loop has not told of it."""
    world = World()
    node = world.node
    client, session = world.join()
    session.subscribe("a", outcomes.of("first"))
    if acknowledged_in_this_tick:
        late_bus.acknowledge("a")
    session.unsubscribe("a")
    ended = str(SubscribeError("a", "it was ended before it had begun"))
    assert outcomes.told == [("first", ended)]
    await wait_until(lambda: not len(world.context.requests))
    assert late_bus.callbacks == 0
    assert node.hub.channels == []
    publish(node, "a")
    assert client.delivered == []
    assert outcomes.told == [("first", ended)]


async def test_a_subscription_may_be_ended_and_begun_anew_in_one_tick(outcomes: Outcomes, late_bus: LateBus) -> None:
    world = World()
    node = world.node
    client, session = world.join()
    session.subscribe("a", outcomes.of("first"))
    late_bus.acknowledge("a")
    session.unsubscribe("a")
    session.subscribe("a", outcomes.of("second"))
    assert [name for name, _ in outcomes.told] == ["first", "second"]
    await asyncio.sleep(0)
    publish(node, "a")
    assert len(client.delivered) == 1
    assert len(outcomes.told) == 2


@pytest.mark.parametrize("acknowledged_in_this_tick", [False, True])
async def test_a_client_that_leaves_while_subscriptions_wait_leaves_nothing(
    outcomes: Outcomes, late_bus: LateBus, caplog: pytest.LogCaptureFixture, acknowledged_in_this_tick: bool
) -> None:
    world = World(timeout=0.02)
    node = world.node
    _, session = world.join()
    for number in range(10):
        session.subscribe(f"a{number}", outcomes.of("x"))
        if acknowledged_in_this_tick:
            late_bus.acknowledge(f"a{number}")
    futures = list(late_bus.futures.values())
    session.leave()
    session.end()
    await wait_until(lambda: node.interests == 0 and not len(world.context.requests))
    assert not any(future._callbacks for future in futures)
    assert await stays_true(lambda: not outcomes.told, 0.03), "their deadlines are over"
    assert node.hub.channels == []
    assert not caplog.records


async def test_subscribing_again_and_again_while_the_bus_is_away_keeps_nothing(
    outcomes: Outcomes, late_bus: LateBus
) -> None:
    world = World()
    node = world.node
    _, session = world.join()
    for number in range(DEFAULT_CHANNELS.subscribing.burst):
        session.subscribe("a", outcomes.of("x"))
        assert late_bus.callbacks <= 1
        session.unsubscribe("a")
        assert len(outcomes.told) == number + 1
    assert node.interests == 1
    await wait_until(world.nothing_is_left)
    assert late_bus.callbacks == 0


async def test_a_back_end_ends_subscriptions(outcomes: Outcomes, late_bus: LateBus) -> None:
    world = World()
    client, session = world.join()
    for name in ("begun", "pending"):
        session.subscribe(name, outcomes.of(name))
    late_bus.acknowledge("begun")
    await wait_until(lambda: outcomes.told)
    session.revoke("other")
    assert client.sent == []
    session.revoke("begun")
    assert len(client.sent) == 1
    session.revoke("pending")
    assert len(client.sent) == 1, "it has been told by the outcome of its request"
    assert [name for name, _ in outcomes.told] == ["begun", "pending"]
    assert list(session.channels) == []


@pytest.mark.parametrize("pending", [False, True])
async def test_a_client_that_has_left_is_freed_without_the_garbage_collector(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, pending: bool
) -> None:
    if pending:
        LateBus(monkeypatch)
    world = World()
    node = world.node
    gc.collect()
    gc.disable()
    try:
        client, session = world.join()
        leftovers = [weakref.ref(client)]
        for name in "abc":
            session.subscribe(name, outcomes.of(name))
        session.publish("a", b"1", Kind.TEXT, outcomes.of("published"))
        node.hub.flush()
        client.leave()
        del client, session
        await wait_until(lambda: [leftover() for leftover in leftovers] == [None])
    finally:
        gc.enable()

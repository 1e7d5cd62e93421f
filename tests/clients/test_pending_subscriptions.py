"""Subscriptions that end before they have begun: each is told once, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio

from relay.auth.subscription_tokens import SubscriptionGrant
from relay.brokers.history import HistoryPage
from relay.channel import EVENTS
from relay.clients.connecting import RENEWAL_SECONDS
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import SubscribeError
from relay.namespaces import ChannelOptions, Namespaces
from relay.protocols.multiplexed import SubscribeOptions
from relay.protocols.request_errors import TokenRefused
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.recorder import Outcomes, Recorder, publish
from tests.clients.session_world import NOW, World, has_begun
from tests.clients.watching import Watching
from tests.harness.conditions import wait_until

CHANNEL = "room:1"

ROOM = Namespaces(named={"room": ChannelOptions(presence=True, join_leave=True, history_size=10)})

OPTIONS = SubscribeOptions(3, token="t", join_leave=True)

EXPIRES_AT = NOW + 60


async def waiting_for_token(world: World, bus: LateBus, session: MultiplexedSession, outcomes: Outcomes) -> None:
    """Let a subscription wait for what its token gives."""
    world.tokens.gate = asyncio.Event()
    session.subscribe(CHANNEL, outcomes.of("x"), OPTIONS)
    await wait_until(lambda: world.tokens.waiting)


async def waiting_for_events(world: World, bus: LateBus, session: MultiplexedSession, outcomes: Outcomes) -> None:
    """Let it wait for the bus to tell who comes and who goes."""
    session.subscribe(CHANNEL, outcomes.of("x"), OPTIONS)
    bus.acknowledge(CHANNEL)
    await wait_until(lambda: bus.callbacks_of(EVENTS + CHANNEL))


async def waiting_for_bus(world: World, bus: LateBus, session: MultiplexedSession, outcomes: Outcomes) -> None:
    """Let it wait for the bus to bring the channel."""
    session.subscribe(CHANNEL, outcomes.of("x"), OPTIONS)
    bus.acknowledge(EVENTS + CHANNEL)
    await wait_until(lambda: bus.callbacks_of(CHANNEL))


async def waiting_for_history(world: World, bus: LateBus, session: MultiplexedSession, outcomes: Outcomes) -> None:
    """Let it wait for the history of the channel."""
    reading = asyncio.Event()

    async def hang(channel: str, **options: object) -> HistoryPage:
        reading.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.node.history.read = hang  # type: ignore[method-assign]
    await waiting_for_bus(world, bus, session, outcomes)
    bus.acknowledge(CHANNEL)
    await reading.wait()


Wait = Callable[[World, LateBus, MultiplexedSession, Outcomes], Awaitable[None]]

every_wait = pytest.mark.parametrize(
    "wait", [waiting_for_token, waiting_for_events, waiting_for_bus, waiting_for_history]
)


@pytest_asyncio.fixture
async def world() -> World:
    world = World(namespaces=ROOM)
    world.tokens.grants["t"] = SubscriptionGrant(expires_at=EXPIRES_AT)
    return world


async def settled(world: World, client: Recorder) -> None:
    """Let a client go that may have left, and see that nothing is left."""
    if client in world.registry:
        client.leave()
    await world.node.recoveries.stop()
    await wait_until(world.nothing_is_left)
    assert (client.delivered, client.closed, client.acts) == ([], [], [])


@every_wait
@pytest.mark.parametrize("how", ["unsubscribe", "revoke"])
async def test_one_that_is_ended_fails(
    world: World, outcomes: Outcomes, late_bus: LateBus, wait: Wait, how: str
) -> None:
    client, session = world.join(Watching())
    await wait(world, late_bus, session, outcomes)
    assert (list(session.channels), has_begun(session, CHANNEL)) == ([CHANNEL], False)
    getattr(session, how)(CHANNEL)
    assert outcomes.told == [("x", str(SubscribeError(CHANNEL, "it was ended before it had begun")))]
    assert list(session.channels) == []
    await wait_until(lambda: not len(world.context.requests))
    publish(world.node, CHANNEL)
    await settled(world, client)
    assert (len(outcomes.told), client.sent) == (1, [])


@every_wait
async def test_the_client_that_has_left_is_told_nothing(
    world: World, outcomes: Outcomes, late_bus: LateBus, wait: Wait
) -> None:
    client, session = world.join(Watching())
    await wait(world, late_bus, session, outcomes)
    client.leave()
    await settled(world, client)
    assert (outcomes.told, client.sent) == ([], [])


@every_wait
async def test_it_may_be_asked_for_anew_at_once(
    world: World, outcomes: Outcomes, late_bus: LateBus, wait: Wait
) -> None:
    client, session = world.join(Watching())
    await wait(world, late_bus, session, outcomes)
    session.unsubscribe(CHANNEL)
    session.subscribe(CHANNEL, outcomes.of("second"))
    begins = wait is waiting_for_events  # the bus has brought the channel itself
    await wait_until(lambda: len(world.context.requests) == (not begins))
    assert list(session.channels) == [CHANNEL]
    assert [name for name, _ in outcomes.told] == ["x", "second"][: 1 + begins]
    await settled(world, client)
    assert len(outcomes.told) == 1 + begins


@pytest.mark.parametrize("wait", [waiting_for_events, waiting_for_bus, waiting_for_history])
async def test_one_whose_token_expires_fails(world: World, outcomes: Outcomes, late_bus: LateBus, wait: Wait) -> None:
    """It is told by its own answer, not as one that has begun is."""
    client, session = world.join(Watching())
    await wait(world, late_bus, session, outcomes)
    world.pass_seconds(60 + RENEWAL_SECONDS)
    (refused,) = outcomes.results
    assert isinstance(refused, TokenRefused)
    assert (refused.cause, list(session.channels), client.sent) == ("expired", [], [])
    await settled(world, client)
    assert len(outcomes.told) == 1


async def test_one_that_the_bus_refuses_leaves_no_end_behind(
    world: World, outcomes: Outcomes, late_bus: LateBus
) -> None:
    client, session = world.join(Watching())
    await waiting_for_bus(world, late_bus, session, outcomes)
    assert len(world.expirations) == 1
    late_bus.refuse(CHANNEL)
    await wait_until(lambda: outcomes.told)
    assert outcomes.told == [("x", str(SubscribeError(CHANNEL, "the bus refused it")))]
    assert len(world.expirations) == 0
    await settled(world, client)


async def test_one_begins_also_when_the_bus_does_not_tell_who_comes(
    world: World, outcomes: Outcomes, late_bus: LateBus
) -> None:
    client, session = world.join(Watching())
    await waiting_for_events(world, late_bus, session, outcomes)
    late_bus.refuse(EVENTS + CHANNEL)
    await wait_until(lambda: outcomes.told)
    assert outcomes.told == [("x", "done")]
    assert len(world.watchers) == 1, "it hears of it as soon as the bus allows it"
    await settled(world, client)


@pytest.mark.parametrize("how", ["unsubscribe", "leave"])
async def test_an_authenticator_that_answers_although_it_was_cancelled_changes_nothing(
    world: World, outcomes: Outcomes, late_bus: LateBus, how: str
) -> None:
    world.tokens.stubborn = True
    client, session = world.join(Watching())
    await waiting_for_token(world, late_bus, session, outcomes)
    if how == "leave":
        client.leave()
    else:
        session.unsubscribe(CHANNEL)
    await wait_until(lambda: not len(world.context.requests))
    assert len(world.expirations) == 0
    await settled(world, client)
    assert len(outcomes.told) == (how == "unsubscribe")

"""Subscriptions by tokens of channels: what these give, and when it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace as with_parts

import pytest
from msgspec.structs import replace

from relay.auth.subscription_tokens import SubscriptionGrant
from relay.errors import NotAllowed, Refused, SubscribeError, Unavailable
from relay.namespaces import ChannelOptions, Namespaces
from relay.protocols.multiplexed import ServerSubscription, SubscribeOptions
from relay.protocols.request_errors import TokenRefused
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.recorder import Outcomes, publish
from tests.clients.session_world import World
from tests.clients.token_world import ANN, ROOM, WITH_TOKEN, granting
from tests.clients.watching import Watching, said
from tests.harness.conditions import wait_until

lateness = pytest.mark.parametrize("late", [False, True])


@lateness
async def test_a_token_gives_a_right_that_the_client_has_not(outcomes: Outcomes, late: bool) -> None:
    world = granting(late=late)
    client, session = world.join(identity=ANN)
    with pytest.raises(NotAllowed):
        session.subscribe("a", outcomes.of("without"))
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    await wait_until(lambda: outcomes.told)
    assert outcomes.told == [("a", "done")]
    assert world.tokens.asked == [("t", "a", "ann")]
    publish(world.node, "a")
    assert len(client.delivered) == 1
    client.leave()
    await wait_until(world.nothing_is_left)


@lateness
async def test_a_token_that_is_not_in_order(outcomes: Outcomes, late: bool) -> None:
    """It counts for what it is, also where the client has the right without it."""
    world = granting(late=late)
    client, session = world.join(identity=ANN)
    session.subscribe("public", outcomes.of("public"), SubscribeOptions(token="bad"))
    await wait_until(lambda: outcomes.told)
    (refused,) = outcomes.results
    assert isinstance(refused, TokenRefused)
    assert (refused.cause, list(session.channels)) == ("invalid", [])
    publish(world.node, "public")
    assert client.delivered == []
    await wait_until(lambda: not world.node.interests)
    session.subscribe("public", outcomes.of("again"))
    assert outcomes.told[1:] == [("again", "done")]


@lateness
async def test_a_token_that_is_not_in_order_costs_the_bus_nothing(
    outcomes: Outcomes, late_bus: LateBus, late: bool
) -> None:
    """Nothing is claimed before it is known that the client may have it."""
    world = granting(late=late)
    _, session = world.join(identity=ANN)
    session.subscribe("a", outcomes.of("a"), SubscribeOptions(token="bad"))
    assert (late_bus.futures, world.node.interests) == ({}, 0)
    await wait_until(lambda: outcomes.told)
    assert (late_bus.futures, world.node.interests) == ({}, 0)
    await wait_until(world.nothing_is_left)


async def test_all_that_a_subscription_waits_for_has_one_deadline(
    outcomes: Outcomes, late_bus: LateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token, what tells who comes, and the channel itself: an SDK waits five seconds for them, not for each."""
    world = World(timeout=600, namespaces=Namespaces(named={"room": ROOM}))
    world.tokens.grants["t"] = SubscriptionGrant()
    world.tokens.gate = asyncio.Event()
    _, session = world.join(Watching())
    for channel in ("room:a", "room:b"):
        session.subscribe(channel, outcomes.of(channel), replace(WITH_TOKEN, join_leave=True))
    await wait_until(lambda: world.tokens.waiting == 2)
    began = world.node.clock()
    monkeypatch.setattr(world.node, "clock", lambda: began + 600)
    world.tokens.gate.set()
    await wait_until(lambda: len(outcomes.told) == 2)
    assert all(isinstance(failure, SubscribeError) for failure in outcomes.results)
    await wait_until(world.nothing_is_left)


async def test_a_relay_that_knows_no_tokens(outcomes: Outcomes) -> None:
    world = World()
    world.context = with_parts(world.context, authorizer=None)
    _, session = world.join(identity=ANN)
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    (refused,) = outcomes.results
    assert isinstance(refused, TokenRefused)
    assert refused.cause == "invalid"


async def test_a_token_that_is_not_known_in_time(outcomes: Outcomes) -> None:
    world = World(timeout=0.02)
    world.tokens.gate = asyncio.Event()
    client, session = world.join()
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    await wait_until(lambda: outcomes.told)
    (refused,) = outcomes.results
    assert isinstance(refused, Refused)
    assert refused.cause == Unavailable.AUTHENTICATION_TIMEOUT.cause
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_what_was_never_asked_is_closed(outcomes: Outcomes) -> None:
    """A client leaves in the tick of its request."""
    world = World()
    world.tokens.gate = asyncio.Event()
    client, session = world.join()
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    assert len(world.tokens.asked) == 1
    assert world.tokens.waiting == 0
    client.leave()
    await wait_until(world.nothing_is_left)
    assert outcomes.told == []


FAULTS = [ValueError("a fault"), TimeoutError(), asyncio.CancelledError(), SystemExit(1)]


@lateness
@pytest.mark.parametrize("error", FAULTS, ids=repr)
async def test_a_fault_of_the_authenticator_is_logged_and_a_refusal(
    outcomes: Outcomes,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    late: bool,
) -> None:
    """As one of its `identify`: a program's fault for one token costs the client nothing else that it has."""
    world = granting(late=late)
    client, session = world.join()
    session.subscribe("b", outcomes.of("b"))

    def fail(token: str) -> SubscriptionGrant:
        raise error

    monkeypatch.setattr(world.tokens, "_answer", fail)
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    session.renew_subscription("b", "t", outcomes.of("renewed"))
    await wait_until(lambda: len(outcomes.told) == 3)
    for refused in outcomes.results[1:]:
        assert isinstance(refused, Refused)
        assert refused.status == 500
    assert (client.acts, list(session.channels)) == ([], ["b"])
    assert caplog.text.count("authenticator failed") == 2
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_a_token_that_shows_something_else_of_the_client_shows_it_at_once(outcomes: Outcomes) -> None:
    world = World(namespaces=Namespaces(named={"seen": ChannelOptions(presence=True)}))
    client, session = world.join()
    for info in (b"1", b"2"):
        world.tokens.grants[f"shows {info!r}"] = SubscriptionGrant(info=info)
    session.subscribe("seen:a", outcomes.of("a"), SubscribeOptions(token=f"shows {b'1'!r}"))
    await wait_until(lambda: outcomes.told)

    def shown() -> list[bytes]:
        session.see_presence("seen:a", outcomes.of("presence"))
        members = outcomes.results[-1]
        return [bytes(member.channel_info) for member in members] if isinstance(members, list) else []

    await wait_until(lambda: shown() == [b"1"])
    session.renew_subscription("seen:a", f"shows {b'2'!r}", outcomes.of("renewed"))
    await wait_until(lambda: shown() == [b"2"])
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_a_back_end_subscribes_clients_whatever_their_rights_are(outcomes: Outcomes) -> None:
    world = World()
    client, session = world.join(identity=ANN)
    session.subscribe_by_server("a", ServerSubscription())
    assert said(client.sent) == [{"subscribed": "a"}]
    session.subscribe_by_server("a", ServerSubscription())
    session.subscribe_by_server("not a channel", ServerSubscription())
    assert (len(client.sent), list(session.channels)) == (1, ["a"])
    publish(world.node, "a")
    assert len(client.delivered) == 1
    session.leave()
    session.subscribe_by_server("b", ServerSubscription())
    assert (len(client.sent), list(session.channels)) == (1, [])
    client.leave()
    await wait_until(world.nothing_is_left)

"""Clients that say who they are after their handshake."""

from __future__ import annotations

import asyncio

import pytest

from relay.auth.authenticator import Identity
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.connecting import CONNECT_SECONDS, RENEWAL_SECONDS, unknown
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import Disconnect, NotAllowed, Refused
from relay.message import Kind
from relay.namespaces import ChannelOptions, Namespaces
from relay.protocols.multiplexed import ConnectGrant, HistoryQuery, SubscribeOptions
from tests.clients.recorder import OnlyPublic, Outcomes, Recorder
from tests.clients.session_world import World, connect
from tests.harness.conditions import wait_until

ALL = Namespaces(ChannelOptions(history_size=10, presence=True, join_leave=True))


def come(world: World) -> tuple[Recorder, MultiplexedSession]:
    """Return a client that has not said yet who it is."""
    return world.join(identity=unknown(world.now))


async def test_a_client_that_has_not_said_who_it_is_may_do_nothing(outcomes: Outcomes) -> None:
    """Not even with a token for a channel."""
    world = World(namespaces=ALL)
    world.tokens.grants["for-all"] = SubscriptionGrant()
    client, session = come(world)
    with pytest.raises(NotAllowed):
        session.subscribe("a", outcomes.of("x"))
    with pytest.raises(NotAllowed):
        session.subscribe("a", outcomes.of("x"), SubscribeOptions(token="for-all"))
    with pytest.raises(NotAllowed):
        session.publish("a", b"1", Kind.TEXT, outcomes.of("x"))
    with pytest.raises(NotAllowed):
        session.read_history("a", HistoryQuery(1), outcomes.of("x"))
    with pytest.raises(NotAllowed):
        session.see_presence("a", outcomes.of("x"))
    with pytest.raises(NotAllowed):
        session.count_presence("a", outcomes.of("x"))
    assert (outcomes.told, world.tokens.asked, list(session.channels)) == ([], [], [])
    client.leave()
    assert world.nothing_is_left()


async def test_a_client_that_does_not_say_who_it_is_is_closed() -> None:
    world = World()
    client, _ = come(world)
    world.pass_seconds(CONNECT_SECONDS - 1)
    assert client.closed == []
    world.pass_seconds(1)
    assert client.closed == [Disconnect.TOKEN_EXPIRED]


@pytest.mark.parametrize("late", [False, True])
async def test_a_client_is_who_it_says_from_then_on(outcomes: Outcomes, late: bool) -> None:
    world = World()
    world.identities["t"] = Identity("ann", OnlyPublic())
    client, session = come(world)
    if late:
        world.gate = asyncio.Event()
    connect(session, "t", outcomes.of("connected"))
    if world.gate is not None:
        assert (outcomes.told, session.user) == ([], None)
        world.gate.set()
        await wait_until(lambda: outcomes.told)
    assert outcomes.results == [ConnectGrant(seconds=None)]
    assert session.user == "ann"
    session.subscribe("public", outcomes.of("public"))
    with pytest.raises(NotAllowed):
        session.subscribe("a", outcomes.of("x"))
    world.pass_seconds(10 * CONNECT_SECONDS)
    assert client.closed == []
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_a_client_with_a_token_has_time_to_renew_its_right(outcomes: Outcomes) -> None:
    """It begins to when the right ends."""
    world = World()
    client, session = come(world)
    world.identities["t"] = Identity("ann", expires_at=world.now + 60)
    connect(session, "t", outcomes.of("connected"))
    assert outcomes.results == [ConnectGrant(seconds=60)]
    world.pass_seconds(60 + RENEWAL_SECONDS - 1)
    assert client.closed == []
    world.pass_seconds(1)
    assert client.closed == [Disconnect.TOKEN_EXPIRED]
    client.leave()
    assert world.nothing_is_left()


async def test_a_client_without_a_token_is_told_of_no_end_and_can_not_renew_it(outcomes: Outcomes) -> None:
    world = World()
    client, session = come(world)
    world.identities[None] = Identity("ann", expires_at=world.now + 60)
    connect(session, "", outcomes.of("connected"))
    assert outcomes.results == [ConnectGrant(seconds=None)]
    world.pass_seconds(59)
    assert client.closed == []
    world.pass_seconds(1)
    assert client.closed == [Disconnect.TOKEN_EXPIRED]


async def test_who_is_refused_may_try_again(outcomes: Outcomes) -> None:
    world = World()
    client, session = come(world)
    connect(session, "bad", outcomes.of("bad"))
    (refused,) = outcomes.results
    assert isinstance(refused, Refused)
    assert (refused.status, session.user, client.closed) == (401, None, [])
    with pytest.raises(NotAllowed):
        session.subscribe("a", outcomes.of("x"))
    world.identities["t"] = Identity("ann")
    connect(session, "t", outcomes.of("good"))
    assert outcomes.told[1:] == [("good", "done")]
    session.subscribe("a", outcomes.of("a"))
    assert outcomes.told[2:] == [("a", "done")]


async def test_a_client_renews_its_right(outcomes: Outcomes) -> None:
    world = World(per_user=1)
    client, session = come(world)
    world.identities["first"] = Identity("ann", expires_at=world.now + 60)
    world.identities["second"] = Identity("ann", OnlyPublic(), expires_at=world.now + 100)
    world.identities["without end"] = Identity("ann")
    connect(session, "first", outcomes.of("first"))
    connect(session, "second", outcomes.of("second"))
    assert outcomes.results == [ConnectGrant(seconds=60), ConnectGrant(seconds=100)]
    with pytest.raises(NotAllowed):
        session.subscribe("a", outcomes.of("x"))
    world.pass_seconds(100 + RENEWAL_SECONDS - 1)
    assert client.closed == []
    connect(session, "without end", outcomes.of("third"))
    assert outcomes.results[2:] == [ConnectGrant(seconds=None)]
    world.pass_seconds(1e6)
    assert client.closed == []
    client.leave()
    assert world.nothing_is_left()


@pytest.mark.parametrize("user", ["bob", None])
async def test_a_renewal_by_another_user_is_refused(outcomes: Outcomes, user: str | None) -> None:
    world = World()
    client, session = come(world)
    world.identities["ann"] = before = Identity("ann")
    world.identities["other"] = Identity(user)
    connect(session, "ann", outcomes.of("ann"))
    connect(session, "other", outcomes.of("other"))
    refused = outcomes.results[1]
    assert isinstance(refused, Refused)
    assert (refused.status, session.identity, client.closed) == (403, before, [])


async def test_the_clients_of_a_user_are_counted(outcomes: Outcomes) -> None:
    world = World(per_user=1)
    world.identities["t"] = Identity("ann")
    first, session = come(world)
    connect(session, "t", outcomes.of("first"))
    second, session = come(world)
    connect(session, "t", outcomes.of("second"))
    assert outcomes.told[0] == ("first", "done")
    refused = outcomes.results[1]
    assert isinstance(refused, Refused)
    assert (refused.status, session.user) == (429, None)
    second.leave()
    first.leave()
    assert world.nothing_is_left()
    third, session = come(world)
    connect(session, "t", outcomes.of("third"))
    assert outcomes.told[2:] == [("third", "done")]
    third.leave()
    assert world.nothing_is_left()


async def test_a_client_that_says_twice_at_once_who_it_is_counts_once(outcomes: Outcomes) -> None:
    world = World(per_user=10)
    world.identities = {"ann": Identity("ann"), "bob": Identity("bob")}
    world.gate = asyncio.Event()
    client, session = come(world)
    for name in ("ann", "ann", "bob"):
        connect(session, name, outcomes.of(name))
    world.gate.set()
    await wait_until(lambda: len(outcomes.told) == 3)
    assert [name for name, result in outcomes.told if result == "done"] == ["ann", "ann"]
    assert session.user == "ann"
    client.leave()
    await wait_until(world.nothing_is_left)


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("known", [False, True])
async def test_a_client_that_leaves_meanwhile_is_told_nothing_and_not_counted(
    outcomes: Outcomes, stubborn: bool, known: bool
) -> None:
    world = World(per_user=10)
    client, session = come(world)
    world.identities["t"] = Identity("ann", expires_at=world.now + 60)
    if known:
        connect(session, "t", outcomes.of("first"))
    world.gate, world.stubborn = asyncio.Event(), stubborn
    connect(session, "t", outcomes.of("second"))
    assert world.asked == 1 + known
    client.leave()
    await wait_until(world.nothing_is_left)
    assert len(outcomes.told) == known
    assert session.user == ("ann" if known else None)


async def test_nobody_asks_who_a_client_is_that_has_left(outcomes: Outcomes) -> None:
    world = World()
    client, session = come(world)
    session.leave()
    connect(session, "t", outcomes.of("x"))
    client.leave()
    connect(session, "t", outcomes.of("x"))
    assert (world.asked, outcomes.told) == (0, [])
    assert world.nothing_is_left()

"""Clients of several channels that hear who comes to them and who goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from relay.auth.authenticator import Identity
from relay.channel import EVENTS
from relay.namespaces import ChannelOptions, Namespaces
from relay.presence import presences
from relay.protocols.multiplexed import SubscribeOptions
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.recorder import OnlyPublic, Outcomes
from tests.clients.session_world import World
from tests.clients.watching import Watching, WatchingAll, said
from tests.harness.conditions import stays_true, wait_until
from tests.protocols.multiplexed import Multiplexed

NAMESPACES = Namespaces(
    named={
        "room": ChannelOptions(presence=True, join_leave=True),
        "kept": ChannelOptions(presence=True, join_leave=True, history_size=10),
        "seen": ChannelOptions(presence=True),
        "public": ChannelOptions(presence=True, join_leave=True),
        "told": ChannelOptions(presence=True, join_leave=True, force_push_join_leave=True),
    }
)

HEARING = SubscribeOptions(join_leave=True)

ANN, BOB = Identity("ann"), Identity("bob")


@pytest_asyncio.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A world that tells its bus who comes and who goes."""
    monkeypatch.setattr(presences.Presences.__init__, "__kwdefaults__", {"linger_seconds": 0.0, "batch_seconds": 0.001})
    world = World(namespaces=NAMESPACES)
    telling = asyncio.create_task(world.node.presences.run())
    yield world
    telling.cancel()
    await asyncio.wait([telling])


@pytest.mark.parametrize("channel", ["room:1", "kept:1"])
async def test_a_client_hears_of_itself_and_of_all_who_come_and_go(
    world: World, outcomes: Outcomes, channel: str
) -> None:
    client, session = world.join(Watching(), ANN)
    session.subscribe(channel, outcomes.of("ann"), HEARING)
    await wait_until(lambda: said(client.sent) == [{"join": "ann", "channel": channel}])
    other, other_session = world.join(identity=BOB)
    other_session.subscribe(channel, outcomes.of("bob"), HEARING)
    await wait_until(lambda: said(client.sent)[1:] == [{"join": "bob", "channel": channel}])
    other.leave()
    await wait_until(lambda: said(client.sent)[2:] == [{"leave": "bob", "channel": channel}])
    assert other.sent == [], "its protocol has no word for that"
    session.unsubscribe(channel)
    await wait_until(lambda: not len(world.watchers))
    other, other_session = world.join(identity=BOB)
    other_session.subscribe(channel, outcomes.of("bob"))
    await wait_until(lambda: len(outcomes.told) == 3)
    assert await stays_true(lambda: len(client.sent) == 3, 0.02)
    for one in (client, other):
        one.leave()
    await wait_until(world.nothing_is_left)


async def test_a_client_is_told_from_when_on_it_hears_everything(world: World, outcomes: Outcomes) -> None:
    client, session = world.join(WatchingAll(), ANN)
    session.subscribe("room:1", outcomes.of("ann"), HEARING)
    await wait_until(lambda: len(client.sent) == 2)
    assert said(client.sent) == [{"begun": True}, {"join": "ann", "channel": "room:1"}]


async def test_what_tells_of_the_subscription_stands_first(world: World) -> None:
    client, session = world.join(WatchingAll(), ANN)
    session.subscribe("room:1", lambda result: client.send(b"answer"), HEARING)
    await wait_until(lambda: len(client.sent) == 3)
    assert client.sent[0] == b"answer"
    assert said(client.sent[1:]) == [{"begun": True}, {"join": "ann", "channel": "room:1"}]


@pytest.mark.parametrize(
    ("channel", "identity", "options"),
    [
        ("room:1", ANN, SubscribeOptions()),
        ("seen:1", ANN, HEARING),
        ("lobby", ANN, HEARING),
        ("public:1", Identity("ann", OnlyPublic()), HEARING),
    ],
    ids=["doesn't want to", "isn't told there", "no presence", "no right"],
)
async def test_a_client_that_hears_nothing(
    world: World, outcomes: Outcomes, channel: str, identity: Identity, options: SubscribeOptions
) -> None:
    """It is subscribed all the same."""
    client, session = world.join(WatchingAll(), identity)
    session.subscribe(channel, outcomes.of("x"), options)
    assert outcomes.told == [("x", "done")]
    assert (len(world.watchers), world.node.interests) == (0, 1)
    await wait_until(lambda: not world.node.presences.waiting)
    assert client.sent == []
    client.leave()
    await wait_until(world.nothing_is_left)


@pytest.mark.parametrize("options", [SubscribeOptions(), SubscribeOptions(granted=True)])
async def test_a_client_that_has_not_asked_hears_where_the_namespace_says_so(
    world: World, outcomes: Outcomes, options: SubscribeOptions
) -> None:
    """Whatever its rights say; so also one that the server has subscribed, which can't ask."""
    client, session = world.join(Watching(), Identity("ann", OnlyPublic()) if options.granted else ANN)
    session.subscribe("told:1", outcomes.of("ann"), options)
    await wait_until(lambda: said(client.sent) == [{"join": "ann", "channel": "told:1"}])
    client.leave()
    await wait_until(world.nothing_is_left)


@pytest.mark.parametrize("how", ["unsubscribe", "revoke", "leave"])
async def test_a_client_that_is_no_longer_subscribed_watches_nothing(
    world: World, outcomes: Outcomes, how: str
) -> None:
    client, session = world.join(Watching(), ANN)
    for channel in ("room:1", "room:2"):
        session.subscribe(channel, outcomes.of(channel), HEARING)
    assert len(world.watchers) == 2
    if how == "leave":
        client.leave()
    else:
        getattr(session, how)("room:1")
        assert len(world.watchers) == 1
        client.leave()
    assert len(world.watchers) == 0
    await wait_until(world.nothing_is_left)


@pytest.mark.parametrize("how", ["unsubscribe", "leave"])
async def test_one_that_ends_as_it_begins_watches_nothing_and_is_not_there(world: World, how: str) -> None:
    client, session = world.join(Watching(), ANN)

    def begun(result: object) -> None:
        if how == "leave":
            client.leave()
        else:
            session.unsubscribe("room:1")

    session.subscribe("room:1", begun, HEARING)
    assert (len(world.watchers), world.node.presences.members) == (0, 0)
    if how == "unsubscribe":
        client.leave()
    await wait_until(world.nothing_is_left)


async def test_the_subscription_waits_for_the_bus_to_tell_who_comes(
    world: World, outcomes: Outcomes, late_bus: LateBus
) -> None:
    """Else the client might not hear of itself."""
    client, session = world.join(Watching(), ANN)
    session.subscribe("room:1", outcomes.of("x"), HEARING)
    late_bus.acknowledge("room:1")
    assert await stays_true(lambda: not outcomes.told, 0.01)
    late_bus.acknowledge(EVENTS + "room:1")
    await wait_until(lambda: said(client.sent) == [{"join": "ann", "channel": "room:1"}])
    assert outcomes.told == [("x", "done")]


async def test_what_is_shown_of_a_client_changes_with_its_identity(world: World, outcomes: Outcomes) -> None:
    client, session = world.join(identity=Identity("ann", info=b'{"age":7}'))
    for channel in ("seen:1", "lobby"):
        session.subscribe(channel, outcomes.of(channel))

    async def shown() -> list[bytes]:
        return [bytes(one.info) for one in await world.node.presence.members("seen:1")]  # type: ignore[arg-type]

    async def shows(info: bytes) -> bool:
        return await shown() == [info]

    await wait_until(lambda: shows(b'{"age":7}'))
    session.change_identity(Identity("ann", info=b'{"age":8}'))
    await wait_until(lambda: shows(b'{"age":8}'))
    session.leave()
    session.change_identity(Identity("ann", info=b'{"age":9}'))
    assert world.node.presences.members == 0
    client.leave()


async def test_a_protocol_that_has_no_word_for_presence_asks_the_bus_for_none(world: World, outcomes: Outcomes) -> None:
    _, session = world.join(Multiplexed(), ANN)
    session.subscribe("room:1", outcomes.of("x"), HEARING)
    assert (outcomes.told, len(world.watchers), world.node.interests) == ([("x", "done")], 0, 1)

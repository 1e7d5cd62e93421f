"""What clients of several channels ask about channels: their histories, and who is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from relay.auth.authenticator import Identity
from relay.brokers.history import MAX_PAGE, HistoryError
from relay.brokers.presence import PresenceError
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import ChannelError, NotAllowed
from relay.message import PositionedMessage
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from relay.presence import presences
from relay.protocols.multiplexed import Answer, HistoryQuery
from relay.protocols.request_errors import NotAvailable
from tests.clients.recorder import OnlyPublic, Outcomes
from tests.clients.session_world import World
from tests.harness.conditions import stays_true, wait_until

NAMESPACES = Namespaces(
    named={
        "kept": ChannelOptions(history_size=2000, presence=True),
        "counted": ChannelOptions(positions=True),
        "public": ChannelOptions(history_size=10, presence=True),
    }
)

Ask = Callable[[MultiplexedSession, str, Answer[object]], None]

ASKING: dict[str, Ask] = {
    "history": lambda session, channel, answer: session.read_history(channel, HistoryQuery(10), answer),
    "presence": lambda session, channel, answer: session.see_presence(channel, answer),
    "presence stats": lambda session, channel, answer: session.count_presence(channel, answer),
}

every_question = pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)


async def read(world: World, channel: str, query: HistoryQuery) -> tuple[int, list[str]]:
    """Return the offset of the newest message of a channel, and what a client gets of it."""
    outcomes = Outcomes()
    client, session = world.join()
    session.read_history(channel, query, outcomes.of("x"))
    await wait_until(lambda: outcomes.results)
    top, messages = outcomes.results[0]
    assert isinstance(top, Position)
    assert all(isinstance(message, PositionedMessage) for message in messages)
    client.leave()
    return top.offset, [message.payload.decode() for message in messages]


async def test_the_history_of_a_channel_in_either_order() -> None:
    world = World(namespaces=NAMESPACES)
    assert await read(world, "kept:1", HistoryQuery(10)) == (0, [])
    world.publish("kept:1", "1", "2", "3", "4")
    epoch = (await world.node.history.read("kept:1", limit=0)).top.epoch
    assert await read(world, "kept:1", HistoryQuery(0)) == (4, [])
    assert await read(world, "kept:1", HistoryQuery(2)) == (4, ["1", "2"])
    assert await read(world, "kept:1", HistoryQuery(2, newest_first=True)) == (4, ["4", "3"])
    assert await read(world, "kept:1", HistoryQuery(2, Position(epoch, 1))) == (4, ["2", "3"])
    assert await read(world, "kept:1", HistoryQuery(2, Position(epoch, 3), newest_first=True)) == (4, ["2", "1"])
    assert await read(world, "kept:1", HistoryQuery(None)) == (4, ["1", "2", "3", "4"])
    await wait_until(world.nothing_is_left)


async def test_one_answer_has_no_more_than_a_page() -> None:
    world = World(namespaces=NAMESPACES)
    world.publish("kept:1", *map(str, range(MAX_PAGE + 1)))
    for limit in (None, MAX_PAGE + 1):
        _, messages = await read(world, "kept:1", HistoryQuery(limit))
        assert len(messages) == MAX_PAGE


async def test_a_channel_that_keeps_nothing_has_a_position_only(outcomes: Outcomes) -> None:
    world = World(namespaces=NAMESPACES)
    world.publish("counted:1", "1", "2")
    assert await read(world, "counted:1", HistoryQuery(0)) == (2, [])
    _, session = world.join()
    for channel, limit in (("counted:1", 1), ("counted:1", None), ("lobby", 0), ("lobby", 1)):
        with pytest.raises(NotAvailable, match="keeps no history"):
            session.read_history(channel, HistoryQuery(limit), outcomes.of("x"))
    assert outcomes.told == []


async def test_who_is_on_a_channel(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presences.Presences.__init__, "__kwdefaults__", {"linger_seconds": 0.0, "batch_seconds": 0.001})
    world = World(namespaces=NAMESPACES)
    telling = asyncio.create_task(world.node.presences.run())
    clients = [world.join(identity=Identity(user)) for user in ("ann", "ann", "bob", None)]
    for _, session in clients:
        session.subscribe("kept:1", lambda result: None)
    asking = world.join()[1]

    async def count() -> tuple[int, int]:
        asking.count_presence("kept:1", outcomes.of("x"))
        await wait_until(lambda: outcomes.results)
        counted: tuple[int, int] = outcomes.results.pop()
        return counted

    async def all_are_there() -> bool:
        return await count() == (4, 3)

    await wait_until(all_are_there)
    asking.see_presence("kept:1", outcomes.of("x"))
    await wait_until(lambda: outcomes.results)
    assert {(one.client, one.user) for one in outcomes.results[0]} == {
        (session.id.hex(), session.user) for _, session in clients
    }
    telling.cancel()
    await asyncio.wait([telling])


@every_question
async def test_what_a_client_may_not_ask(outcomes: Outcomes, ask: Ask) -> None:
    """It is not told either what there would be."""
    world = World(namespaces=NAMESPACES)
    _, session = world.join(identity=Identity("ann", OnlyPublic()))
    for channel in ("kept:1", "public:1", "lobby"):
        with pytest.raises(NotAllowed):
            ask(session, channel, outcomes.of("x"))
    with pytest.raises(ChannelError):
        ask(session, "no channel", outcomes.of("x"))
    assert outcomes.told == []


@every_question
async def test_what_is_not_there(outcomes: Outcomes, ask: Ask) -> None:
    _, session = World(namespaces=NAMESPACES).join()
    with pytest.raises(NotAvailable):
        ask(session, "lobby", outcomes.of("x"))
    assert outcomes.told == []


def answering(world: World, monkeypatch: pytest.MonkeyPatch, answer: asyncio.Future[object]) -> None:
    """Let the bus answer all questions when the test says so."""

    async def wait(channel: str, **options: object) -> object:
        return await asyncio.shield(answer)

    monkeypatch.setattr(world.node.history, "read", wait)
    monkeypatch.setattr(world.node.presence, "members", wait)
    monkeypatch.setattr(world.node.presence, "stats", wait)


@every_question
@pytest.mark.parametrize("error", [HistoryError("away"), PresenceError("away")])
async def test_a_bus_that_fails(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, ask: Ask, error: Exception
) -> None:
    world = World(namespaces=NAMESPACES)
    client, session = world.join()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    answering(world, monkeypatch, answer)
    ask(session, "kept:1", outcomes.of("x"))
    assert (outcomes.told, len(world.context.requests)) == ([], 1)
    answer.set_exception(error)
    await wait_until(lambda: outcomes.told)
    assert outcomes.results == [error]
    assert client.acts == []
    client.leave()
    await wait_until(world.nothing_is_left)


@every_question
async def test_a_client_that_leaves_before_the_answer_is_told_nothing(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    world = World(namespaces=NAMESPACES)
    client, session = world.join()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    answering(world, monkeypatch, answer)
    ask(session, "kept:1", outcomes.of("x"))
    ask(session, "kept:1", outcomes.of("x"))
    client.leave()
    await wait_until(world.nothing_is_left)
    answer.cancel()
    assert await stays_true(lambda: not outcomes.told, 0.01)


@every_question
async def test_a_fault_is_logged_and_ends_the_client(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ask: Ask
) -> None:
    world = World(namespaces=NAMESPACES)
    client, session = world.join()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    answering(world, monkeypatch, answer)
    ask(session, "kept:1", outcomes.of("x"))
    answer.set_exception(ValueError("a fault"))
    await wait_until(lambda: client.acts == ["abort"])
    assert "request of a client failed" in caplog.text
    assert outcomes.told == []
    await wait_until(world.nothing_is_left)

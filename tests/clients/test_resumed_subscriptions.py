"""What clients of several channels get of the messages before, and that the live ones go on right behind it."""

from __future__ import annotations

import asyncio
import json

import pytest

from relay.auth.authenticator import Identity
from relay.brokers.history import HistoryPage
from relay.brokers.memory import MemoryBroker
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import NotAllowed, Refused, RelayError, SubscribeError
from relay.message import Message
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from relay.protocols.multiplexed import ANY_EPOCH, SubscribeOptions
from relay.replay import Replay, Resume
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.recorder import OnlyPublic, Outcomes, Recorder
from tests.clients.session_world import World, has_begun
from tests.harness.conditions import wait_until
from tests.harness.whole_frames import frames_of

KEPT = Namespaces(named={"kept": ChannelOptions(history_size=5), "counted": ChannelOptions(positions=True)})


async def resumed(world: World, channel: str, resume: Resume) -> Replay | RelayError | None:
    """Return what another client is told that subscribes to a channel."""
    outcomes = Outcomes()
    _, session = world.join()
    session.subscribe(channel, outcomes.of(channel), SubscribeOptions(resume))
    await wait_until(lambda: outcomes.results)
    result: Replay | RelayError | None = outcomes.results[0]
    return result


async def replayed(world: World, channel: str, resume: Resume) -> tuple[int, list[str], bool]:
    """Return the offset of what it gets, its messages, and whether it has been told that these are all."""
    replay = await resumed(world, channel, resume)
    assert isinstance(replay, Replay)
    return replay.position.offset, [message.payload.decode() for message in replay.messages], replay.recovered


async def epoch_of(world: World, channel: str) -> str:
    """Return the epoch of a channel."""
    return (await world.node.history.read(channel, limit=0)).top.epoch


async def test_a_channel_without_positions_has_nothing_of_before() -> None:
    world = World(namespaces=KEPT)
    world.publish("plain", "1")
    for resume in (0, 5, Position("e", 1), Position(ANY_EPOCH, 1)):
        assert await resumed(world, "plain", resume) is None


async def test_who_wants_nothing_is_told_where_the_channel_is() -> None:
    world = World(namespaces=KEPT)
    assert await replayed(world, "kept:1", 0) == (0, [], True)
    world.publish("kept:1", "1", "2")
    assert await replayed(world, "kept:1", 0) == (2, [], True)


async def test_what_has_come_since_a_position() -> None:
    world = World(namespaces=KEPT)
    world.publish("kept:1", "1", "2", "3")
    epoch = await epoch_of(world, "kept:1")
    for _ in range(2):  # when it is subscribed to, and when it is already
        assert await replayed(world, "kept:1", Position(epoch, 1)) == (3, ["2", "3"], True)
        assert await replayed(world, "kept:1", Position(epoch, 3)) == (3, [], True)
        assert await replayed(world, "kept:1", Position("other", 1)) == (3, [], False)
        assert await replayed(world, "kept:1", Position(epoch, 4)) == (3, [], False), "of a future that isn't ours"
    world.publish("kept:1", "4", "5", "6", "7")
    assert await replayed(world, "kept:1", Position(epoch, 1)) == (7, [], False), "the second is no longer kept"
    assert await replayed(world, "kept:1", Position(epoch, 2)) == (7, ["3", "4", "5", "6", "7"], True)
    assert world.counters.recoveries == {"recovered": 5, "missed": 5}


async def test_a_channel_that_keeps_nothing_knows_whether_something_is_missing() -> None:
    world = World(namespaces=KEPT)
    world.publish("counted:1", "1", "2")
    epoch = await epoch_of(world, "counted:1")
    assert await replayed(world, "counted:1", Position(epoch, 2)) == (2, [], True)
    assert await replayed(world, "counted:1", Position(epoch, 1)) == (2, [], False)


async def test_a_position_of_any_epoch() -> None:
    world = World(namespaces=KEPT)
    assert await replayed(world, "kept:1", Position(ANY_EPOCH, 0)) == (0, [], True)
    world.publish("kept:1", "1", "2", "3")
    assert await replayed(world, "kept:1", Position(ANY_EPOCH, 0)) == (3, ["1", "2", "3"], True)
    assert await replayed(world, "kept:1", Position(ANY_EPOCH, 2)) == (3, ["3"], True)
    assert await replayed(world, "kept:1", Position(ANY_EPOCH, 9)) == (3, [], False)
    world.publish("kept:2", "1", "2", "3", "4", "5", "6")
    assert await replayed(world, "kept:2", Position(ANY_EPOCH, 0)) == (6, [], False)
    assert await replayed(world, "kept:2", Position(ANY_EPOCH, 1)) == (6, ["2", "3", "4", "5", "6"], True)


async def test_the_newest_messages(outcomes: Outcomes) -> None:
    world = World(namespaces=KEPT)
    world.publish("kept:1", "1", "2", "3")
    assert await replayed(world, "kept:1", 2) == (3, ["2", "3"], True)
    assert await replayed(world, "kept:1", 10) == (3, ["1", "2", "3"], True)


async def test_the_newest_messages_need_the_right_to_the_history(outcomes: Outcomes) -> None:
    """To go on after a position doesn't, else no client could come back; see `check_history`."""
    world = World(namespaces=KEPT)
    _, session = world.join(identity=Identity("ann", OnlyPublic()))
    with pytest.raises(NotAllowed, match="read the history"):
        session.subscribe("public:1", outcomes.of("x"), SubscribeOptions(2))
    assert (outcomes.told, list(session.channels)) == ([], [])
    session.subscribe("public:1", outcomes.of("public"), SubscribeOptions(Position(ANY_EPOCH, 0)))
    assert outcomes.told == [("public", "done")]


@pytest.mark.parametrize("resume", [Position(ANY_EPOCH, 0), 10, 0])
async def test_messages_that_come_before_the_bus_acknowledges_are_in_the_history(
    outcomes: Outcomes, late_bus: LateBus, resume: Resume
) -> None:
    world = World(namespaces=KEPT)
    world.publish("kept:1", "1")
    client, session = world.join()
    session.subscribe("kept:1", outcomes.of("kept:1"), SubscribeOptions(resume))
    world.publish("kept:1", "2")
    late_bus.acknowledge("kept:1")
    world.publish("kept:1", "3")
    await wait_until(lambda: outcomes.told)
    world.publish("kept:1", "4")
    (replay,) = outcomes.results
    before = [message.payload.decode() for message in replay.messages]
    live = [json.loads(payload)["data"] for data in client.delivered for _, payload in frames_of(data)]
    assert before == ([] if resume == 0 else ["1", "2", "3"])
    assert live == [4] if replay.position.offset == 3 else [3, 4]


async def test_what_is_written_when_it_begins_stands_before_the_live_messages() -> None:
    world = World(namespaces=KEPT)
    client, session = world.join()

    def begun(result: object) -> None:
        world.node.submit(Message(channel, b"1"))
        client.send(b"answer")
        world.node.hub.flush()

    for channel in ("kept:1", "plain"):
        client.events.clear()
        session.subscribe(channel, begun)
        await wait_until(lambda: client.events)
        assert client.events[0] == b"answer", channel


@pytest.mark.parametrize("how", ["unsubscribe", "leave", "anew"])
@pytest.mark.parametrize("channel", ["kept:1", "plain"])
@pytest.mark.parametrize("late", [False, True])
async def test_a_protocol_may_end_a_subscription_as_it_hears_that_it_has_begun(
    monkeypatch: pytest.MonkeyPatch, how: str, channel: str, late: bool
) -> None:
    bus = LateBus(monkeypatch) if late else None
    world = World(namespaces=KEPT)
    client, session = world.join()
    told = Outcomes()

    def begun(result: object) -> None:
        told.of("first")(result)
        _end(how, client, session, channel, told)

    session.subscribe(channel, begun)
    if bus is not None:
        bus.acknowledge(channel)
    await wait_until(lambda: len(told.told) == 1 + (how == "anew"))
    world.publish(channel, "1")
    assert len(client.delivered) == (how == "anew")
    assert [result for _, result in told.told] == ["done"] * len(told.told)
    if how != "leave":
        client.leave()
    await wait_until(world.nothing_is_left)


def _end(how: str, client: Recorder, session: MultiplexedSession, channel: str, told: Outcomes) -> None:
    if how == "leave":
        client.leave()
        return
    session.unsubscribe(channel)
    if how == "anew":
        session.subscribe(channel, told.of("second"))


async def test_a_history_that_can_not_be_read_in_time(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(namespaces=KEPT, timeout=0.02)

    async def hang(channel: str, **options: object) -> HistoryPage:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(world.node.history, "read", hang)
    client, session = world.join()
    wanted: list[Resume] = [0, 3, Position("e", 1), Position(ANY_EPOCH, 1)]
    for number, resume in enumerate(wanted):
        session.subscribe(f"kept:{number}", outcomes.of("x"), SubscribeOptions(resume))
    await wait_until(lambda: len(outcomes.told) == 4)
    assert {(type(one), one.cause) for one in outcomes.results} == {(Refused, "history_timeout")}
    client.leave()
    await world.node.recoveries.stop()
    await wait_until(world.nothing_is_left)


@pytest.mark.parametrize("how", ["refused", "cancelled", "late"])
@pytest.mark.parametrize("resume", [0, Position("e", 1), Position(ANY_EPOCH, 1)])
async def test_a_channel_with_positions_that_the_bus_does_not_acknowledge(
    outcomes: Outcomes, late_bus: LateBus, how: str, resume: Resume
) -> None:
    world = World(namespaces=KEPT, timeout=0.02 if how == "late" else 30)
    client, session = world.join()
    session.subscribe("kept:1", outcomes.of("x"), SubscribeOptions(resume))
    if how == "refused":
        late_bus.refuse("kept:1")
    elif how == "cancelled":
        late_bus.cancel("kept:1")
    await wait_until(lambda: outcomes.told)
    reason = "the bus did not acknowledge it in time" if how == "late" else "the bus refused it"
    assert outcomes.told == [("x", str(SubscribeError("kept:1", reason)))]
    assert (list(session.channels), has_begun(session, "kept:1")) == ([], False)
    client.leave()
    await wait_until(world.nothing_is_left)


@pytest.mark.parametrize("resume", [0, Position("e", 1), Position(ANY_EPOCH, 1)])
async def test_a_channel_with_positions_that_the_bus_refuses_at_once(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, resume: Resume
) -> None:
    def refuse(broker: MemoryBroker, channel: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(SubscribeError(channel, "NOPERM"))
        future.exception()
        return future

    monkeypatch.setattr(MemoryBroker, "subscribe", refuse)
    client, session = World(namespaces=KEPT).join()
    session.subscribe("kept:1", outcomes.of("x"), SubscribeOptions(resume))
    assert outcomes.told == [("x", str(SubscribeError("kept:1", "the bus refused it")))]
    client.leave()

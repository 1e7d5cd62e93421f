"""Clients of several channels that leave while they wait for something are freed without the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.multiplexed_session import MultiplexedSession
from relay.clients.subscription import Subscription
from relay.namespaces import ChannelOptions, Namespaces
from relay.protocols.multiplexed import HistoryQuery, SubscribeOptions
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.recorder import Outcomes, Recorder
from tests.clients.session_world import World, connect
from tests.clients.watching import Watching
from tests.harness.conditions import wait_until
from tests.harness.live_objects import live_objects

ROOM = Namespaces(named={"room": ChannelOptions(presence=True, join_leave=True, history_size=10)})

HEARING = SubscribeOptions(3, join_leave=True)

Ask = Callable[[MultiplexedSession, Outcomes], None]

ASKING: dict[str, Ask] = {
    "who it is": lambda session, outcomes: connect(session, "t", outcomes.of("x")),
    "a token": lambda session, outcomes: session.subscribe("a", outcomes.of("x"), SubscribeOptions(token="t")),
    "the bus": lambda session, outcomes: session.subscribe("a", outcomes.of("x")),
    "a channel with positions": lambda session, outcomes: session.subscribe("room:1", outcomes.of("x"), HEARING),
    "a history": lambda session, outcomes: session.read_history("room:1", HistoryQuery(1), repr, outcomes.of("x")),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("ticks", [0, 1, 3])
async def test_a_client_that_leaves_while_it_waits_is_freed(
    late_bus: LateBus, monkeypatch: pytest.MonkeyPatch, ask: Ask, ticks: int
) -> None:
    world = World(namespaces=ROOM)
    world.gate = world.tokens.gate = asyncio.Event()
    world.tokens.grants["t"] = SubscriptionGrant()

    async def hang(channel: str, **options: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(world.node.history, "read", hang)
    outcomes = Outcomes()
    gc.collect()
    before = live_objects(Recorder, MultiplexedSession, Subscription)
    gc.disable()
    try:
        client, session = world.join(Watching())
        ask(session, outcomes)
        assert len(world.context.requests) == 1
        for _ in range(ticks):
            await asyncio.sleep(0)
        client.leave()
        del client, session
        await wait_until(lambda: live_objects(Recorder, MultiplexedSession, Subscription) == before)
    finally:
        gc.enable()
    assert outcomes.told == []
    await wait_until(world.nothing_is_left)

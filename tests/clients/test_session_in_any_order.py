"""Whatever a client, the bus and back ends do in whatever order: each request has one outcome, and nothing is left."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import SubscriptionError
from relay.message import Message
from relay.namespaces import ChannelOptions, Namespaces
from relay.protocols.multiplexed import SubscribeOptions
from tests.clients.late_bus import LateBus
from tests.clients.recorder import Outcomes
from tests.clients.session_world import World, has_begun
from tests.harness.conditions import wait_until
from tests.harness.examples import examples

ACTS = ("subscribe", "token", "expire", "unsubscribe", "revoke", "acknowledge", "refuse", "cancel", "tick")

steps = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 1), st.sampled_from(["a:1", "b"])), max_size=25)


class Scene:
    """Two clients, two channels, and what each must have been told.

    Args:
        bus: acknowledges when told so.
    """

    def __init__(self, bus: LateBus) -> None:
        self._bus = bus
        self._outcomes = Outcomes()
        self._world = World(namespaces=Namespaces(named={"a": ChannelOptions(presence=True)}))
        self.node = self._world.node
        self.clients = [self._world.join() for _ in range(2)]
        self.requests: list[str] = []

    async def do(self, act: str, session: MultiplexedSession, channel: str) -> None:
        """Let something happen, if it can."""
        future = self._bus.futures.get(channel)
        if act == "tick":
            await asyncio.sleep(0)
        elif act in ("acknowledge", "refuse", "cancel"):
            if future is not None and not future.done():
                {"acknowledge": self._bus.acknowledge, "refuse": self._bus.refuse, "cancel": self._bus.cancel}[act](
                    channel
                )
        elif act == "revoke":
            session.revoke(channel)
        elif act == "expire":
            self._world.pass_seconds(100)
        else:
            self._request(act, session, channel)
        self.check()

    def _request(self, act: str, session: MultiplexedSession, channel: str) -> None:
        name = f"{len(self.requests)}"
        subscribed = channel in session.channels
        try:
            if act != "unsubscribe":
                self._world.tokens.grants["t"] = SubscriptionGrant(expires_at=self._world.now + 60)
                options = SubscribeOptions(token="t" if act == "token" else "")
                session.subscribe(channel, self._outcomes.of(name), options)
                assert not subscribed
                self.requests.append(name)
            else:
                session.unsubscribe(channel)
                assert subscribed
        except SubscriptionError:
            assert subscribed == (act != "unsubscribe")

    def check(self) -> None:
        """Compare what is with what must be."""
        told = Counter(name for name, _ in self._outcomes.told)
        assert all(count == 1 for count in told.values())
        assert set(told) <= set(self.requests)
        pending = len(self.requests) - len(told)
        subscriptions = sum(len(session.channels) for _, session in self.clients)
        present = begun = 0
        for channel in ("a:1", "b"):
            heard = [client for client, session in self.clients if has_begun(session, channel)]
            assert self.node.hub.subscribers(channel) == len(heard)
            begun += len(heard)
            present += len(heard) if channel == "a:1" else 0
            for client, _ in self.clients:
                client.delivered.clear()
            self.node.receive(Message(channel, b"1"))
            self.node.hub.flush()
            assert [client for client, _ in self.clients if client.delivered] == heard
        assert pending == subscriptions - begun
        assert self.node.presences.members == present

    async def end(self) -> None:
        """Let both clients leave, and see that nothing is left."""
        for client, _ in self.clients:
            client.leave()
        told = len(self._outcomes.told)
        await wait_until(self._world.nothing_is_left)
        assert len(self.node.presences) == 0
        assert self._bus.callbacks == 0
        assert len(self._outcomes.told) == told


@examples(300)
@given(steps)
def test_each_request_has_one_outcome_and_nothing_is_left(acts: list[tuple[str, int, str]]) -> None:
    errors: list[str] = []

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(str(context)))
        with pytest.MonkeyPatch.context() as monkeypatch:
            scene = Scene(LateBus(monkeypatch))
            for act, number, channel in acts:
                await scene.do(act, scene.clients[number][1], channel)
            await scene.end()

    asyncio.run(play())
    assert errors == []

"""Whatever a client, the bus and back ends do in whatever order: each request has one outcome, and nothing is left."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import SubscriptionError
from relay.message import Message
from relay.namespaces import ChannelOptions, Namespaces
from tests.clients.late_bus import LateBus
from tests.clients.test_session import Outcomes, Recorder, a_node, joined
from tests.harness.conditions import wait_until
from tests.harness.examples import examples

ACTS = ("subscribe", "unsubscribe", "revoke", "acknowledge", "refuse", "cancel", "tick")

steps = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 1), st.sampled_from(["a:1", "b"])), max_size=25)


class Scene:
    """Two clients, two channels, and what each must have been told.

    Args:
        bus: acknowledges when told so.
    """

    def __init__(self, bus: LateBus) -> None:
        self._bus = bus
        self._outcomes = Outcomes()
        self.node = a_node(namespaces=Namespaces(named={"a": ChannelOptions(presence=True)}))
        self.clients = [joined(self.node), joined(self.node)]
        self.requests: list[str] = []

    async def do(self, act: str, client: Recorder, channel: str) -> None:
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
            client.session.revoke(channel)
        else:
            self._request(act, client, channel)
        self.check()

    def _request(self, act: str, client: Recorder, channel: str) -> None:
        name = f"{len(self.requests)}"
        subscribed = channel in client.session.channels
        try:
            if act == "subscribe":
                client.session.subscribe(channel, self._outcomes.of(name))
                assert not subscribed
                self.requests.append(name)
            else:
                client.session.unsubscribe(channel)
                assert subscribed
        except SubscriptionError:
            assert subscribed == (act == "subscribe")

    def check(self) -> None:
        """Compare what is with what must be."""
        told = Counter(name for name, _ in self._outcomes.told)
        assert all(count == 1 for count in told.values())
        assert set(told) <= set(self.requests)
        pending = len(self.requests) - len(told)
        assert pending == sum(len(client.session._pending or ()) for client in self.clients)
        present = 0
        for channel in ("a:1", "b"):
            begun = [
                client
                for client in self.clients
                if channel in client.session.channels and channel not in (client.session._pending or ())
            ]
            assert self.node.hub.subscribers(channel) == len(begun)
            present += len(begun) if channel == "a:1" else 0
            for client in self.clients:
                client.delivered.clear()
            self.node.receive(Message(channel, b"1"))
            self.node.hub.flush()
            assert [client for client in self.clients if client.delivered] == begun
        assert self.node.presences.members == present

    async def end(self) -> None:
        """Let both clients leave, and see that nothing is left."""
        for client in self.clients:
            client.session.leave()
            client.session.end()
        told = len(self._outcomes.told)
        await wait_until(lambda: self.node.interests == 0)
        assert self.node.hub.channels == []
        assert (self.node.presences.members, len(self.node.presences)) == (0, 0)
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
                await scene.do(act, scene.clients[number], channel)
            await scene.end()

    asyncio.run(play())
    assert errors == []

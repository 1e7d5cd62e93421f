"""Whenever the bus acknowledges, clients that come back miss no message and get none twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import RelayError
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from relay.protocols.multiplexed import ANY_EPOCH, SubscribeOptions
from relay.replay import Replay
from tests.clients.late_bus import LateBus
from tests.clients.session_world import World
from tests.harness.conditions import wait_until
from tests.harness.examples import examples
from tests.harness.whole_frames import frames_of
from tests.protocols.multiplexed import encode


class Reader:
    """A client that takes what it is told and what is delivered for one history.

    Args:
        world: where it comes in.
        number: its last message; it has all up to it.
    """

    def __init__(self, world: World, number: int) -> None:
        self.client, self.session = world.join()
        self.expected = number + 1
        self.began = False
        self.session.subscribe("kept:1", self._begin, SubscribeOptions(Position(ANY_EPOCH, number)))

    def _begin(self, result: Replay | RelayError | None) -> None:
        assert isinstance(result, Replay)
        assert result.recovered
        self.began = True
        for message in result.messages:
            self.client.send(encode(message))

    @property
    def numbers(self) -> list[Any]:
        """What it has got."""
        return [json.loads(payload)["data"] for data in self.client.events for _, payload in frames_of(data)]


@examples(100)
@given(st.lists(st.sampled_from(["publish", "tick", "come", "flush"]), max_size=20), st.integers(0, 20))
def test_no_message_is_missing_or_comes_twice_whenever_the_bus_acknowledges(acts: list[str], when: int) -> None:
    async def play() -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            bus = LateBus(monkeypatch)
            world = World(namespaces=Namespaces(named={"kept": ChannelOptions(history_size=100)}))
            readers: list[Reader] = []
            published = 0
            for number, act in enumerate([*acts, *["tick"] * 21]):
                if number >= when and "kept:1" in bus.futures and not bus.futures["kept:1"].done():
                    bus.acknowledge("kept:1")
                if act == "publish":
                    published += 1
                    world.publish("kept:1", str(published))
                elif act == "come":
                    readers.append(Reader(world, published // 2))
                elif act == "flush":
                    world.node.hub.flush()
                else:
                    await asyncio.sleep(0)
            await wait_until(lambda: all(reader.began for reader in readers))
            published += 1
            world.publish("kept:1", str(published))
            for reader in readers:
                assert reader.numbers == list(range(reader.expected, published + 1))
                reader.client.leave()
            await wait_until(world.nothing_is_left)

    asyncio.run(play())

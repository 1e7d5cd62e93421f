"""Clients that are closed at an even pace."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from relay import protocols
from relay.clients.drain import close_evenly
from relay.clients.websocket import WebSocket
from relay.errors import Disconnect
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket, close_of, encode_frame


async def nothing() -> None:
    """Wait for no bus."""


class Client:
    """A connection that notes when and how it was closed."""

    takes_turns = False

    def __init__(self, log: list[float]) -> None:
        self._log = log

    def prepare_to_close(self) -> bool:
        return True

    def close(self, disconnect: Disconnect) -> None:
        assert disconnect is Disconnect.GOING_AWAY
        self._log.append(asyncio.get_running_loop().time())


async def test_clients_are_closed_evenly_over_the_time_given() -> None:
    log: list[float] = []
    began = asyncio.get_running_loop().time()
    await close_evenly([Client(log) for _ in range(20)], 0.4, flush=lambda: None, unsettled=set, settle=nothing)
    for number, at in enumerate(log):
        assert at - began >= 0.02 * number - 0.001
    assert len(log) == 20
    assert log[-1] - began < 10


async def test_without_time_all_are_closed_at_once() -> None:
    log: list[float] = []
    await close_evenly([Client(log) for _ in range(100)], 0.0, flush=lambda: None, unsettled=set, settle=nothing)
    assert len(log) == 100


async def test_nobody_to_close() -> None:
    await close_evenly([], 10.0, flush=lambda: None, unsettled=set, settle=nothing)


async def test_what_was_received_is_delivered_before_each_close() -> None:
    log: list[str] = []

    class Receiver:
        takes_turns = False

        def prepare_to_close(self) -> bool:
            return True

        def close(self, disconnect: Disconnect) -> None:
            log.append("close")

    await close_evenly([Receiver(), Receiver()], 0.0, flush=lambda: log.append("flush"), unsettled=set, settle=nothing)
    assert log == ["flush", "close", "flush", "close"]


class Publisher:
    """A client whose messages the bus may not have answered.

    Attributes:
        empty: whether nothing of what was read of it waits.
        turns: how many it needs until then.
    """

    def __init__(self, turns: int = 0) -> None:
        self.turns = turns
        self.empty = not turns
        self.prepared = False
        self.closed = False

    @property
    def takes_turns(self) -> bool:
        return self.turns > 0

    def prepare_to_close(self) -> bool:
        self.prepared = True
        return self.empty

    def close(self, disconnect: Disconnect) -> None:
        assert self.prepared, "nothing may be published between the last look and the close"
        self.closed = True


async def test_publishers_are_closed_once_the_bus_has_answered() -> None:
    idle, busy, full, last = Publisher(), Publisher(), Publisher(), Publisher()
    full.empty = False
    waiting = {busy, last}
    settling = asyncio.Event()

    async def settle() -> None:
        assert [client.closed for client in (idle, busy, full, last)] == [True, True, True, False]
        settling.set()

    closing = asyncio.create_task(
        close_evenly([idle, busy, full, last], 0.2, flush=lambda: None, unsettled=lambda: waiting, settle=settle)
    )
    await asyncio.sleep(0)
    assert idle.closed
    assert not last.prepared
    waiting.discard(busy)
    full.empty = True
    await closing
    assert settling.is_set()
    assert last.closed


async def test_one_that_has_turns_is_closed_when_the_bus_has_answered_what_they_brought() -> None:
    client, paused, waiting = Publisher(turns=2), Publisher(), set[Publisher]()
    paused.empty = False
    seen: list[tuple[int, bool]] = []

    async def settle() -> None:
        """Answer the messages of the turn before, and give it its next one."""
        waiting.clear()
        seen.append((client.turns, client.closed))
        if client.turns:
            client.turns -= 1
            client.empty = not client.turns
            waiting.add(client)

    await close_evenly([client, paused], 0.0, flush=lambda: None, unsettled=lambda: waiting, settle=settle)
    assert seen == [(2, False), (1, False), (0, False)]
    assert client.closed
    assert paused.closed


async def test_the_turns_of_the_last_ones_are_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.clients.drain.LAST_TURNS_SECONDS", 0.1)
    client = Publisher(turns=1)
    await close_evenly([client], 0.0, flush=lambda: None, unsettled=set, settle=nothing)
    assert client.closed


async def test_a_client_that_has_sent_much_at_once_gets_all_its_answers_before_the_close(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")
    (gateway,) = await embedded(1)
    context = parts_of(gateway).context
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/multiplexed")).status == 101
        (connection,) = context.registry
        assert isinstance(connection, WebSocket)
        # As on a machine that is so slow that no further turn fits into any tick.
        monkeypatch.setattr(context.turns, "_clock", itertools.count().__next__)
        requests = [{"id": n + 1, "publish": {"channel": "a", "data": n}} for n in range(200)]
        await client.send(b"".join(encode_frame(TEXT, json.dumps(request).encode()) for request in requests))
        await wait_until(lambda: connection._reader.waiting)
        assert 0 < gateway.counters.messages_received < 200
        draining = asyncio.create_task(gateway.drain())
        await wait_until(lambda: connection._leaving)
        for _ in range(100):
            await asyncio.sleep(0)
        monkeypatch.setattr(context.turns, "_clock", lambda: 0.0)
        *answers, _, close = await client.frames_to_the_end()
        await draining
        accepted = gateway.counters.messages_received
        assert [json.loads(answer.payload)["id"] for answer in answers] == list(range(1, accepted + 1))
        assert close_of(close) == (4001, "going away")

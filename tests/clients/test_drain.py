"""CloseMessage at an even pace."""

from __future__ import annotations

import asyncio

from relay.clients.drain import close_evenly
from relay.errors import Disconnect


async def nothing() -> None:
    """Wait for no bus."""


class Client:
    """A connection that notes when and how it was closed."""

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
    """

    def __init__(self) -> None:
        self.empty = True
        self.prepared = False
        self.closed = False

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

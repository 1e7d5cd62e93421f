"""Closing at an even pace."""

from __future__ import annotations

import asyncio

from relay.errors import Disconnect
from relay.gateway.drain import close_evenly


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
    await close_evenly([Client(log) for _ in range(20)], 0.4, lambda: None, set)
    for number, at in enumerate(log):
        assert at - began >= 0.02 * number - 0.001
    assert len(log) == 20
    assert log[-1] - began < 10


async def test_without_time_all_are_closed_at_once() -> None:
    log: list[float] = []
    await close_evenly([Client(log) for _ in range(100)], 0.0, lambda: None, set)
    assert len(log) == 100


async def test_nobody_to_close() -> None:
    await close_evenly([], 10.0, lambda: None, set)


async def test_what_was_received_is_delivered_before_each_close() -> None:
    log: list[str] = []

    class Receiver:
        def prepare_to_close(self) -> bool:
            return True

        def close(self, disconnect: Disconnect) -> None:
            log.append("close")

    await close_evenly([Receiver(), Receiver()], 0.0, lambda: log.append("flush"), set)
    assert log == ["flush", "close", "flush", "close"]

"""Connections that take nothing."""

from __future__ import annotations

import asyncio

from relay.clients.write_timeouts import WriteTimeouts
from relay.metrics.counters import Counters
from tests.harness.conditions import wait_until


class Client:
    """A connection with some bytes that are stuck."""

    def __init__(self, stuck: int) -> None:
        self.stuck = stuck
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


async def test_no_progress_for_the_timeout_drops_the_client() -> None:
    counters = Counters()
    stalls, client = WriteTimeouts(10.0, counters), Client(1000)
    now = asyncio.get_running_loop().time()
    stalls.add(client)
    stalls.check(now + 9)
    assert not client.aborted
    stalls.check(now + 11)
    assert client.aborted
    assert counters.disconnects == {"WRITE_TIMEOUT": 1}
    assert len(stalls) == 0


async def test_any_progress_starts_the_timeout_anew() -> None:
    stalls, client = WriteTimeouts(10.0, Counters()), Client(1000)
    now = asyncio.get_running_loop().time()
    stalls.add(client)
    for step in range(1, 6):
        client.stuck -= 1
        stalls.check(now + 9 * step)
    assert not client.aborted
    stalls.check(now + 45 + 11)
    assert client.aborted


async def test_more_data_is_no_progress() -> None:
    stalls, client = WriteTimeouts(10.0, Counters()), Client(1000)
    now = asyncio.get_running_loop().time()
    stalls.add(client)
    client.stuck = 2000
    stalls.check(now + 5)
    stalls.check(now + 11)
    assert client.aborted


async def test_a_client_that_took_everything_is_forgotten() -> None:
    stalls, client = WriteTimeouts(10.0, Counters()), Client(1000)
    stalls.add(client)
    stalls.discard(client)
    stalls.discard(client)
    stalls.check(asyncio.get_running_loop().time() + 100)
    assert not client.aborted


async def test_it_checks_by_itself() -> None:
    stalls, client = WriteTimeouts(0.05, Counters()), Client(1)
    stalls.add(client)
    task = asyncio.create_task(stalls.run())
    await wait_until(lambda: client.aborted)
    task.cancel()

"""What an operator does to the stack while clients resume: they miss nothing, whatever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay.loadtest.result.result import Result
from tests.compose.stack import NAMESPACE, Stack
from tests.compose.test_operations import Load
from tests.harness.load_test import LoadTest

CLIENTS = 30
LOAD = (
    *("--resume", "--namespace", NAMESPACE, "--clients", str(CLIENTS), "--channels", "3", "--publishers", "3"),
    # Ended by hand, when the test has done what it is about.
    *("--rate", "15", "--reconnect-every", "5s", "--warm-up", "0s", "--duration", "500s", "--drain", "60s"),
    *("--workers", "1"),
)


@asynccontextmanager
async def load(stack: Stack) -> AsyncIterator[Load]:
    """Put a load on the stack until the block ends, and a while longer."""
    running = Load()
    async with LoadTest(stack.url, *LOAD) as load_test:
        await stack.more_messages(60)
        yield running
        await stack.more_messages(120)
        load_test.interrupt()
        running.result = (await load_test.ended(90)).result


def check_all_came_once(result: Result) -> None:
    """Check that each client got each message, and that nobody had to be told that it missed one."""
    faults, resumption = result.faults, result.resumption
    assert (result.verdict, faults.any) == ([], False), (result.verdict, faults)
    assert (faults.lost, faults.told, faults.missed) == (0, 0, 0)
    assert resumption is not None
    assert (resumption.events, resumption.polls, resumption.notices) == (15, 15, 0)
    assert resumption.resumed > 0
    assert result.delivered == sum(second.sent for second in result.moments) * CLIENTS // 3


async def test_a_rolling_restart_loses_nothing_for_clients_that_resume(stack: Stack) -> None:
    old = await stack.fresh(3)
    async with load(stack) as running:
        done = await asyncio.to_thread(stack.attempt, "deploy/rolling-restart", within=300)
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert not {gateway.container for gateway in stack.gateways()} & {gateway.container for gateway in old}
    check_all_came_once(running.result)
    assert running.result.faults.returned["1001 going away"] > 0
    assert running.result.resumption is not None
    assert running.result.resumption.resumed >= CLIENTS


async def test_a_killed_gateway_loses_nothing_for_clients_that_resume(stack: Stack) -> None:
    """Not even what was being published through it."""
    gateways = await stack.fresh(3)
    async with load(stack) as running:
        await asyncio.to_thread(stack.run, "docker", "kill", gateways[0].container)
    check_all_came_once(running.result)

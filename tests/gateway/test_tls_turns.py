"""Handshakes take turns, so that a crowd of them stops nobody."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress

import pytest

from relay.gateway.tls_turns import HandshakeTurns
from tests.gateway.secure import SecureFactory
from tests.gateway.secure import secure as secure
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.inside import parts_of
from tests.harness.tls13_client import HANDSHAKE, client_hello, record


class Step:
    """A handshake that takes a while.

    Args:
        done: where it is noted.
        seconds: that it takes.
    """

    def __init__(self, done: list[Step], seconds: float = 0.0) -> None:
        self._done = done
        self._seconds = seconds

    def go_on(self) -> None:
        """See `Handshaking`."""
        end = time.perf_counter() + self._seconds
        while time.perf_counter() < end:
            pass
        self._done.append(self)


async def ticks(count: int) -> None:
    """Let so many turns of the event loop pass."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_as_many_as_there_is_time_for() -> None:
    turns, done = HandshakeTurns(asyncio.get_running_loop(), turn_seconds=60), list[Step]()
    steps = [Step(done) for _ in range(50)]
    for step in steps:
        turns.add(step)
    assert (len(turns), done) == (50, [])
    await ticks(1)
    assert (len(turns), done) == (0, steps)
    turns.add(steps[0])
    await ticks(1)
    assert len(done) == 51


async def test_the_others_wait_for_the_next_tick() -> None:
    turns, done = HandshakeTurns(asyncio.get_running_loop(), turn_seconds=0.001), list[Step]()
    steps = [Step(done, 0.002) for _ in range(5)]
    for step in steps:
        turns.add(step)
    for number in range(1, 6):
        await ticks(1)
        assert done == steps[:number]
    assert not len(turns)


async def test_a_fault_in_one_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Step):
        def go_on(self) -> None:
            raise RuntimeError("a fault")

    loop = asyncio.get_running_loop()
    faults = list[dict[str, object]]()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    turns, done = HandshakeTurns(loop), list[Step]()
    turns.add(Faulty(done))
    turns.add(Step(done))
    await ticks(3)
    assert (len(faults), len(done)) == (1, 1)


async def test_no_client_waits_for_all_handshakes_of_a_crowd(secure: SecureFactory) -> None:
    """The event loop comes by between them."""
    gateway = await secure()
    front_door = parts_of(gateway).front_door
    assert front_door.tls is not None
    hello = record(HANDSHAKE, client_hello(b"\x09" + bytes(31)))
    crowd = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(100)]
    await wait_until(lambda: front_door.sockets == 100)
    for _, writer in crowd:
        writer.write(hello)
    turns = front_door.tls.turns
    seen = set[int]()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(turns) or not seen:  # from the tick on in which the first ones wait
            seen.update({len(turns)} - {0})
            await asyncio.sleep(0)
    assert len(seen) > 5
    for reader, writer in crowd:
        assert (await reader.readexactly(1))[0] == HANDSHAKE
        writer.close()
    with suppress(ssl.SSLError):
        await wait_until(lambda: front_door.sockets == 0)

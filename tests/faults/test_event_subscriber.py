"""What a reader of events records of how its stream begins."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.faults.clients.event_subscriber import EventSubscriber
from tests.faults.operations import AnyOperation, Subscribed, ToldMissed
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place
from tests.harness.tcp_proxy import TcpProxy

PLACE = Place(1, TcpProxy(), TcpProxy())


def event(position: str, kind: str = "", data: str = "") -> bytes:
    """Return what a stream says: a position alone, or an event at it."""
    lines = [f"event: {kind}"] if kind else []
    lines += [f"data: {data}"] if data else []
    return "\n".join([*lines, f"id: {position}", "", ""]).encode()


async def recorded(*chunks: bytes) -> list[AnyOperation]:
    """Return what is recorded of a stream that goes on after the position `E:1`."""
    recorder = Recorder()
    subscriber = EventSubscriber("s1", "kept:1", [PLACE], recorder, Random(1))
    subscriber._position = "E:1"
    reader = asyncio.StreamReader()
    reading = asyncio.create_task(subscriber._read(PLACE, reader))
    for chunk in chunks:
        reader.feed_data(chunk)
        await asyncio.sleep(0)
    reader.feed_eof()
    await reading
    return recorder.history


async def test_who_cannot_go_on_is_told_with_the_first_word() -> None:
    missed = event("E:5", "missed", '{"position":"E:5"}')
    begun, *_ = await recorded(event("E:5") + missed)
    assert isinstance(begun, Subscribed)
    assert (begun.since, begun.recovered, begun.position) == ("E:1", False, "E:5")


@pytest.mark.parametrize("together", [True, False])
async def test_who_is_told_right_behind_the_beginning_has_gone_on(together: bool) -> None:
    chunks = event("E:1"), event("E:5", "missed", '{"position":"E:5"}')
    begun, told, *_ = await recorded(*([b"".join(chunks)] if together else chunks))
    assert isinstance(begun, Subscribed)
    assert (begun.since, begun.recovered) == ("E:1", True)
    assert isinstance(told, ToldMissed)
    assert told.position == "E:5"

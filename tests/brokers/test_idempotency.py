"""Messages with idempotency keys: the same cases over the memory broker, fakeredis and a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from relay.message import attributes_of
from relay.position import Position
from tests.brokers.attributed import attributed
from tests.brokers.published import NAMESPACES as NAMESPACES
from tests.brokers.published import payloads, publish
from tests.brokers.recording import Outcomes, Stations
from tests.harness.conditions import wait_until


async def test_a_repeated_message_with_attributes_is_published_once(stations: Stations) -> None:
    station = await stations()
    await asyncio.gather(station.broker.subscribe("h:c"), station.broker.subscribe("c"))
    outcomes = Outcomes()
    for channel in ("h:c", "h:c", "c", "c"):
        station.broker.publish(attributed(channel)[1], station.back_end, outcomes, "k")
    await wait_until(lambda: len(outcomes.heard) == 4)
    assert outcomes.repeated == [False, True, False, True]
    for channel in ("h:c", "c"):
        station.say(channel, b"end")
        await wait_until(lambda channel=channel: b"end" in station.sink.payloads(channel))
    carried = [attributes_of(message) for message in station.sink.messages]
    assert sorted(carried, key=str) == sorted([attributes_of(attributed("c")[1]), None] * 2, key=str)


async def test_a_repeated_message_is_published_once(stations: Stations) -> None:
    """Also by way of another gateway: whoever tries again may come out there."""
    here, there = await stations(), await stations()
    await there.broker.subscribe("h:c")
    outcomes = Outcomes()
    here.say("h:c", b"first", receipt=outcomes, key="k")
    await wait_until(lambda: len(outcomes.heard) == 1)
    for station in (here, there):
        station.say("h:c", b"again", receipt=outcomes, key="k")
    await wait_until(lambda: len(outcomes.heard) == 3)
    assert outcomes.repeated == [False, True, True]
    assert len(set(outcomes.positions)) == 1
    assert outcomes.heard == [1, 1, 1]
    assert await publish(here, "h:c", b"end") == [Position(outcomes.positions[0].epoch, 2)]  # type: ignore[union-attr]
    await wait_until(lambda: b"end" in there.sink.payloads("h:c"))
    assert there.sink.payloads("h:c") == [b"first", b"end"]
    assert payloads(await there.broker.history.read("h:c")) == [b"first", b"end"]
    assert sum({id(s): s.counters.messages_repeated for s in (here, there)}.values()) == 2
    assert sum({id(s): s.counters.messages_published for s in (here, there)}.values()) == 2


@pytest.mark.parametrize("channel", ["h:c", "p:c", "c"])
async def test_keys_name_messages_of_one_channel(stations: Stations, channel: str) -> None:
    here, there = await stations(), await stations()
    await asyncio.gather(there.broker.subscribe(channel), there.broker.subscribe(f"{channel}2"))
    outcomes = Outcomes()
    for station, name, key in (
        (here, channel, "a"),
        (here, channel, "b"),
        (here, channel, "a"),
        (here, f"{channel}2", "a"),
        (here, channel, "} \r\nä" * 50),
        (here, channel, "} \r\nä" * 50),
    ):
        station.say(name, key.encode(), receipt=outcomes, key=key)
    await wait_until(lambda: len(outcomes.heard) == 6)
    assert outcomes.repeated == [False, False, True, False, False, True]
    assert outcomes.positions[2] == outcomes.positions[0]
    await wait_until(lambda: len(there.sink.messages) == 4)
    there.say(channel, b"again", receipt=outcomes, key="b")
    await wait_until(lambda: len(outcomes.heard) == 7)
    assert outcomes.repeated[-1]
    assert len(there.sink.messages) == 4


async def test_a_client_without_a_receipt_may_have_a_key(stations: Stations) -> None:
    station = await stations()
    await station.broker.subscribe("c")
    for _ in range(2):
        station.say("c", b"x", key="k")
    station.say("c", b"end")
    await wait_until(lambda: b"end" in station.sink.payloads("c"))
    assert station.sink.payloads("c") == [b"x", b"end"]
    assert station.source.errors == []

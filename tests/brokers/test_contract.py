"""What every broker owes: the same cases over the memory broker, fakeredis and a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers import BrokerOptions, BusState
from relay.brokers.shares import Share
from relay.message import Kind, Message
from tests.brokers.attributed import attributed
from tests.brokers.recording import Outcomes, RecordingSource, Station, Stations
from tests.harness.conditions import stays_true, wait_until


async def test_a_message_reaches_a_subscriber_on_another_station(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe("c")
    assert here.say("c", b"hello")
    await wait_until(lambda: there.sink.payloads("c") == [b"hello"])
    assert here.source.errors == []


async def test_the_publishers_own_station_hears_it_too(stations: Stations) -> None:
    station = await stations()
    await station.broker.subscribe("c")
    station.say("c", b"hello")
    await wait_until(lambda: station.sink.payloads("c") == [b"hello"])


@pytest.mark.parametrize("kind", Kind)
async def test_payloads_and_kinds_arrive_untouched(stations: Stations, kind: Kind) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe("c")
    payloads = [b"", b"\r\n", b"*3\r\n$7\r\nmessage\r\n", b"x" * 65536]
    if kind is Kind.BINARY:
        payloads += [bytes(range(256)), b"\xffr\x10 looks like an envelope"]
    for payload in payloads:
        here.say("c", payload, kind)
    await wait_until(lambda: there.sink.payloads("c") == payloads)
    assert {message.kind for message in there.sink.messages} == {kind}


async def test_attributes_come_along(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe("c")
    for message in (*attributed("c"), Message("c", b"plain")):
        here.broker.publish(message, here.source)
    await wait_until(lambda: len(there.sink.messages) == 5)
    assert there.sink.messages == [*attributed("c"), Message("c", b"plain")]


async def test_the_messages_of_a_source_keep_their_order(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe("c")
    expected = [b"%d" % number for number in range(2000)]
    for number, payload in enumerate(expected):
        here.say("c", payload)
        if number % 97 == 0:
            await asyncio.sleep(0)
    await wait_until(lambda: there.sink.payloads("c") == expected, what=lambda: len(there.sink.messages))


async def test_all_stations_see_one_order(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await asyncio.gather(here.broker.subscribe("c"), there.broker.subscribe("c"))
    for number in range(200):
        here.say("c", b"here %d" % number)
        there.say("c", b"there %d" % number)
        await asyncio.sleep(0)
    await wait_until(lambda: len(here.sink.payloads("c")) == 400 == len(there.sink.payloads("c")))
    assert here.sink.payloads("c") == there.sink.payloads("c")


async def test_what_is_not_subscribed_is_not_received(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe("c")
    for channel in ("d", "C", "c ", "cc", "*"):
        here.say(channel, b"not for c")
    here.say("c", b"end")
    await wait_until(lambda: there.sink.payloads("c") == [b"end"])
    assert len(there.sink.messages) == 1


async def test_nothing_comes_after_unsubscribing(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await asyncio.gather(there.broker.subscribe("c"), there.broker.subscribe("end"))
    there.broker.unsubscribe("c")
    there.broker.unsubscribe("never subscribed")
    await there.broker.subscribe("later")
    here.say("c", b"nobody")
    here.say("end", b"")
    await wait_until(lambda: there.sink.payloads("end"))
    assert there.sink.payloads("c") == []


async def test_subscribing_twice_delivers_once(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await asyncio.gather(there.broker.subscribe("c"), there.broker.subscribe("c"))
    await there.broker.subscribe("c")
    here.say("c", b"1")
    here.say("c", b"2")
    await wait_until(lambda: len(there.sink.messages) >= 2)
    assert there.sink.payloads("c") == [b"1", b"2"]


async def test_subscribing_again_at_once_is_heard_when_acknowledged(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe("c")
    for _ in range(20):
        there.broker.unsubscribe("c")
        await there.broker.subscribe("c")
        before = len(there.sink.messages)
        here.say("c", b"again")
        await wait_until(lambda before=before: len(there.sink.messages) == before + 1)


async def test_a_thousand_channels(stations: Stations) -> None:
    here, there = await stations(), await stations()
    channels = [f"c{number}" for number in range(1000)]
    await asyncio.gather(*(there.broker.subscribe(channel) for channel in channels))
    for channel in channels:
        here.say(channel, channel.encode())
    await wait_until(lambda: len(there.sink.messages) == 1000)
    assert all(there.sink.payloads(channel) == [channel.encode()] for channel in channels[::50])


async def test_draining_delivers_and_stopping_leaves_no_task(options: BrokerOptions) -> None:
    tasks = asyncio.all_tasks()
    here, there = Station(options), Station(options)
    if options.url == "memory://":
        there = here
    for station in {here, there}:
        await station.broker.start()
    await there.broker.subscribe("c")
    await wait_until(lambda: not here.broker.problems)
    for number in range(500):
        here.say("c", b"%d" % number)
    await here.broker.drain()
    await here.broker.stop()
    await wait_until(lambda: len(there.sink.messages) == 500)
    assert here.source.errors == []
    await there.broker.stop()
    assert asyncio.all_tasks() == tasks


async def test_the_state_is_told_in_numbers(stations: Stations) -> None:
    station = await stations()
    state = station.broker.state
    assert state == BusState(state.links, 0, dict.fromkeys(state.buffered, 0), state.server)
    assert all(station.broker.state.links.values())
    await asyncio.gather(*(station.broker.subscribe(channel) for channel in ("a", "b")))
    station.broker.unsubscribe("a")
    assert station.broker.state.subscriptions == 1
    station.say("b", b"x")
    await wait_until(lambda: station.sink.payloads("b") == [b"x"])
    await wait_until(lambda: not any(station.broker.state.buffered.values()))


async def test_counters_tell_what_was_published(stations: Stations) -> None:
    station = await stations()
    before = station.counters.messages_published
    for _ in range(3):
        station.say("nobody", b"")
    await wait_until(lambda: station.counters.messages_published == before + 3)
    assert await stays_true(lambda: not station.sink.messages, 0.02)


async def test_a_receipt_tells_that_the_bus_has_the_message_and_who_hears_it(stations: Stations) -> None:
    here, there = await stations(), await stations()
    outcomes = Outcomes()
    here.say("c", b"nobody", receipt=outcomes)
    await wait_until(lambda: outcomes.heard == [0])
    await there.broker.subscribe("c")
    for number in range(50):
        here.say("c", b"%d" % number, receipt=outcomes)
        here.say("c", b"%d without" % number)
    await wait_until(lambda: outcomes.heard == [0] + [1] * 50)
    await wait_until(lambda: len(there.sink.payloads("c")) == 100)
    assert here.source.errors == []


async def test_draining_waits_for_receipts(stations: Stations) -> None:
    station = await stations()
    outcomes = Outcomes()
    for _ in range(200):
        station.say("c", b"x" * 1000, receipt=outcomes)
    await station.broker.drain()
    assert outcomes.heard == [0] * 200


async def test_each_message_that_is_asked_about_has_one_outcome(options: BrokerOptions) -> None:
    """What is stopped in mid-flight is told, too: who waits for an answer must get one."""
    station = Station(options)
    await station.broker.start()
    await wait_until(lambda: not station.broker.problems)
    outcomes = Outcomes()
    for _ in range(100):
        station.broker.publish(Message("c", b"x"), RecordingSource(Share.BACK_ENDS), outcomes)
    await station.broker.stop()
    assert len(outcomes.heard) + len(outcomes.errors) == 100

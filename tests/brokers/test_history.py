"""What every history owes: the same cases over the memory broker, fakeredis and a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from relay.attributes import encode_tags
from relay.brokers.history import MAX_PAGE, HistoryError, HistoryPage
from relay.message import AttributedMessage, Attributes, Kind, Message, PositionedMessage
from relay.position import Position, parse_position
from tests.brokers.attributed import attributed
from tests.brokers.published import NAMESPACES as NAMESPACES
from tests.brokers.published import numbers, payloads, publish
from tests.brokers.recording import Outcomes, Stations
from tests.harness.conditions import wait_until


@pytest.mark.parametrize("channel", ["h:c", "p:c"])
async def test_offsets_rise_by_one_and_come_along(stations: Stations, channel: str) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe(channel)
    positions = await publish(here, channel, *numbers(5))
    assert [position.offset for position in positions] == [1, 2, 3, 4, 5]
    assert len({position.epoch for position in positions}) == 1
    await wait_until(lambda: len(there.sink.messages) == 5)
    assert there.sink.positions(channel) == positions
    assert there.sink.payloads(channel) == numbers(5)
    assert all(type(message) is PositionedMessage for message in there.sink.messages)


async def test_a_position_is_one_that_clients_may_say(stations: Stations) -> None:
    (position,) = await publish(await stations(), "h:c", b"x")
    assert parse_position(str(position)) == position


async def test_other_channels_have_no_positions(stations: Stations) -> None:
    station = await stations()
    await station.broker.subscribe("c")
    outcomes = Outcomes()
    station.say("c", b"x", receipt=outcomes)
    await wait_until(lambda: outcomes.positions == [None])
    await wait_until(lambda: station.sink.messages == [Message("c", b"x")])
    with pytest.raises(HistoryError, match="no positions"):
        await station.broker.history.read("c")


async def test_channels_are_counted_apart(stations: Stations) -> None:
    station = await stations()
    await publish(station, "h:a", b"1", b"2")
    (position,) = await publish(station, "h:b", b"1")
    assert position.offset == 1
    assert position.epoch != (await station.broker.history.read("h:a")).top.epoch


async def test_all_publishers_share_one_count(stations: Stations) -> None:
    """The order in which messages arrive is that of their offsets, without a hole and without a double."""
    here, there = await stations(), await stations()
    await asyncio.gather(here.broker.subscribe("h:c"), there.broker.subscribe("h:c"))
    outcomes = Outcomes()
    for number in range(200):
        here.say("h:c", b"here %d" % number, receipt=outcomes)
        there.say("h:c", b"there %d" % number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    for station in (here, there):
        await wait_until(lambda station=station: len(station.sink.messages) == 400)
        positions = station.sink.positions("h:c")
        assert [position.offset for position in positions if position] == list(range(1, 401))
        assert len({position.epoch for position in positions if position}) == 1
    assert here.sink.messages == there.sink.messages
    await wait_until(lambda: len(outcomes.positions) == 200)


async def test_what_is_kept_is_read_as_it_was_received(stations: Stations) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe("h:c")
    payloads = [b"", "ä".encode(), b"x" * 20_000]
    for payload in payloads:
        here.broker.publish(Message("h:c", payload, Kind.TEXT, b"0123456789abcdef"), here.source)
    here.say("h:c", bytes(range(256)), Kind.BINARY)
    await wait_until(lambda: len(there.sink.messages) == 4)
    page = await there.broker.history.read("h:c")
    assert page.messages == there.sink.messages
    assert [message.kind for message in page.messages] == [Kind.TEXT] * 3 + [Kind.BINARY]
    assert page.messages[0].origin == b"0123456789abcdef"


@pytest.mark.parametrize("channel", ["h:c", "p:c"])
async def test_attributes_come_along_with_a_position_and_are_kept(stations: Stations, channel: str) -> None:
    here, there = await stations(), await stations()
    await there.broker.subscribe(channel)
    sent = [*attributed(channel), Message(channel, b"plain")]
    for message in sent:
        here.broker.publish(message, here.source)
    await wait_until(lambda: len(there.sink.messages) == 5)
    received = [message for message in there.sink.messages if isinstance(message, PositionedMessage)]
    assert [_without_position(message) for message in received] == sent
    assert [message.position.offset for message in received] == [1, 2, 3, 4, 5]
    page = await there.broker.history.read(channel)
    assert page.messages == (received if channel == "h:c" else [])


def _without_position(message: PositionedMessage) -> Message:
    plain = (message.channel, message.payload, message.kind, message.origin)
    return AttributedMessage(*plain, attributes=message.attributes) if message.attributes else Message(*plain)


async def test_attributes_count_like_payloads(stations: Stations) -> None:
    station = await stations()
    tags = Attributes(tags=encode_tags({"k": "v" * 290}))
    outcomes = Outcomes()
    for number in numbers(9):
        station.broker.publish(AttributedMessage("small:c", number, attributes=tags), station.back_end, outcomes)
    await wait_until(lambda: len(outcomes.heard) == 9)
    assert payloads(await station.broker.history.read("small:c")) == [b"7", b"8", b"9"]


async def test_a_channel_is_read_from_a_position_on(stations: Stations) -> None:
    station = await stations()
    positions = await publish(station, "h:c", *numbers(8))
    history = station.broker.history
    page = await history.read("h:c", since=positions[4])
    assert payloads(page) == [b"6", b"7", b"8"]
    assert page.top == positions[7]
    assert page.continues(positions[4])
    assert payloads(await history.read("h:c", since=positions[7])) == []
    assert payloads(await history.read("h:c", since=Position("other", 7))) == [b"8"]
    assert payloads(await history.read("h:c", since=Position(positions[0].epoch, 2**53 - 1))) == []
    assert payloads(await history.read("h:c", since=positions[1], limit=3)) == [b"3", b"4", b"5"]
    assert payloads(await history.read("h:c")) == numbers(8)
    assert payloads(await history.read("h:c", limit=2)) == [b"1", b"2"]


async def test_a_channel_is_read_from_its_newest_message_back(stations: Stations) -> None:
    station = await stations()
    positions = await publish(station, "h:c", *numbers(8))
    history = station.broker.history
    assert payloads(await history.read("h:c", newest_first=True, limit=3)) == [b"8", b"7", b"6"]
    assert payloads(await history.read("h:c", since=positions[2], newest_first=True)) == [b"2", b"1"]
    assert payloads(await history.read("h:c", since=positions[0], newest_first=True)) == []
    assert payloads(await history.read("h:c", since=Position("other", 0), newest_first=True)) == []


@pytest.mark.parametrize("channel", ["h:new", "p:new"])
async def test_an_empty_channel_has_a_position_that_stays(stations: Stations, channel: str) -> None:
    """Whoever has joined before the first message must be able to say so."""
    here, there = await stations(), await stations()
    page = await here.broker.history.read(channel, limit=0)
    assert (page.top.offset, page.messages) == (0, [])
    assert await there.broker.history.read(channel) == page
    (position,) = await publish(there, channel, b"1")
    assert position == Position(page.top.epoch, 1)


async def test_a_channel_with_positions_only_keeps_nothing(stations: Stations) -> None:
    station = await stations()
    positions = await publish(station, "p:c", b"1", b"2")
    page = await station.broker.history.read("p:c")
    assert (page.top, page.messages) == (positions[-1], [])
    assert page.continues(positions[-1])
    assert not page.continues(positions[0])


async def test_the_oldest_messages_go_beyond_the_size(stations: Stations) -> None:
    station = await stations()
    positions = await publish(station, "h:c", *numbers(25))
    page = await station.broker.history.read("h:c")
    assert payloads(page) == numbers(25)[15:]
    assert page.continues(positions[14])
    assert not (await station.broker.history.read("h:c", since=positions[13])).continues(positions[13])


async def test_the_oldest_messages_go_beyond_the_bytes(stations: Stations) -> None:
    station = await stations()
    await publish(station, "small:c", *[b"x" * 300] * 20, b"y" * 300)
    page = await station.broker.history.read("small:c")
    assert payloads(page) == [b"x" * 300] * 2 + [b"y" * 300]
    await publish(station, "small:c", b"a" * 400, b"b" * 300)
    page = await station.broker.history.read("small:c")
    assert payloads(page) == [b"y" * 300, b"a" * 400, b"b" * 300]
    await publish(station, "small:c", b"z" * 5000)
    page = await station.broker.history.read("small:c")
    assert payloads(page) == [b"z" * 5000], "the newest one is kept in any case"
    await publish(station, "small:c", b"1", b"2")
    page = await station.broker.history.read("small:c")
    assert payloads(page) == [b"1", b"2"]
    assert [message.position.offset for message in page.messages] == [25, 26]


async def test_messages_expire_and_the_position_stays(stations: Stations) -> None:
    station = await stations()
    history = station.broker.history
    positions = await publish(station, "short:c", b"1", b"2")

    async def expired() -> bool:
        return (await history.read("short:c")).messages == []

    await wait_until(expired)
    assert (await history.read("short:c")).top == positions[-1]
    assert await publish(station, "short:c", b"3") == [Position(positions[0].epoch, 3)]
    assert not (await history.read("short:c", since=positions[0])).continues(positions[0])


async def test_no_reading_returns_more_than_a_page(stations: Stations) -> None:
    station = await stations()
    positions = await publish(station, "all:c", *numbers(MAX_PAGE + 5))
    for limit in (None, MAX_PAGE + 3):
        page = await station.broker.history.read("all:c", limit=limit)
        assert payloads(page) == numbers(MAX_PAGE)
    rest = await station.broker.history.read("all:c", since=page.messages[-1].position)
    assert [message.position for message in rest.messages] == positions[MAX_PAGE:]


async def test_readings_of_one_tick_are_answered_each(stations: Stations) -> None:
    station = await stations()
    channels = [f"h:{number}" for number in range(100)]
    for channel in channels:
        station.say(channel, channel.encode())
    await station.broker.drain()
    read = station.broker.history.read
    pages = await asyncio.gather(*(read(channel) for channel in channels), read("c"), return_exceptions=True)
    assert isinstance(pages.pop(), HistoryError)
    assert [payloads(page) for page in pages if isinstance(page, HistoryPage)] == [[c.encode()] for c in channels]


async def test_what_is_removed_is_gone_and_the_position_stays(stations: Stations) -> None:
    here, there = await stations(), await stations()
    positions = await publish(here, "h:c", b"1", b"2")
    await there.broker.history.remove("h:c")
    await there.broker.history.remove("h:never")
    page = await here.broker.history.read("h:c")
    assert (page.top, page.messages) == (positions[-1], [])
    assert await publish(here, "h:c", b"3") == [Position(positions[0].epoch, 3)]
    assert payloads(await here.broker.history.read("h:c")) == [b"3"]

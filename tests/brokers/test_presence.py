"""What every presence owes: the same cases over the memory broker, fakeredis and a real Redis."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from relay.brokers.presence import PresenceChange, PresenceError, PresenceStats, Tally, TooManyMembers, size_of
from relay.channel import EVENTS
from relay.member import Member
from relay.namespaces import ChannelOptions, Namespaces
from tests.brokers.presence_events import come, go, kept, member, told, whole
from tests.brokers.recording import Station, Stations
from tests.harness.conditions import wait_until

NAMESPACES = Namespaces(
    named={
        "p": ChannelOptions(presence=True),
        "e": ChannelOptions(presence=True, join_leave=True),
    }
)

ANN, BOB, EVE = member(1, "ann"), member(2, "bob", b'{"color": "red"}'), member(3)

SEVERAL = pytest.mark.parametrize("bare_options", ["fakeredis", "redis"], indirect=True)
"""For tests with several gateways: a memory bus has one."""


@pytest.fixture
def stations(stations: Stations) -> Stations:
    """Start gateways on one bus, which hear the events of `e:c`."""

    async def start() -> Station:
        station = await stations()
        await station.broker.subscribe(f"{EVENTS}e:c")
        return station

    return start


async def present(station: Station, channel: str) -> list[Member]:
    """Return who is on a channel, by ids; the numbers must fit."""
    members = sorted(await station.broker.presence.members(channel), key=lambda member: member.client)
    stats = PresenceStats(len(members), len({member.user for member in members}))
    assert await station.broker.presence.stats(channel) == stats
    return members


async def update(station: Station, *changes: PresenceChange) -> list[int]:
    """Tell the bus of changes; return how many members it has then."""
    return await kept(station.broker.presence.update(changes))


async def heard(station: Station) -> list[tuple[list[Member], list[Member]]]:
    """Return the events of `e:c` up to now: behind them comes a last one."""
    last = member(10**9 + len(station.sink.messages))
    await update(station, come("e:c", last))
    await wait_until(lambda: ([], [last]) in told(station, "e:c"))
    await update(station, go("e:c", last))
    await wait_until(lambda: ([last], []) in told(station, "e:c"))
    return [event for event in told(station, "e:c") if not any(_is_last(some) for some in chain(*event))]


def _is_last(some: Member) -> bool:
    return int(some.client, 16) >= 10**9


@pytest.mark.parametrize("channel", ["p:c", "e:c", "p:}{", "e:{}a{b}"])
async def test_members_come_and_go(stations: Stations, channel: str) -> None:
    station = await stations()
    assert await present(station, channel) == []
    assert await update(station, come(channel, ANN, BOB)) == [2]
    assert await present(station, channel) == [ANN, BOB]
    assert await update(station, come(channel, EVE, left=[ANN])) == [2]
    assert await present(station, channel) == [BOB, EVE]
    assert await kept(station.broker.presence.refresh([channel])) == [2]
    assert await update(station, go(channel, BOB, EVE)) == [0]
    assert await present(station, channel) == []
    assert await kept(station.broker.presence.refresh([channel])) == [0]


async def test_members_are_shown_as_they_were_told(stations: Stations) -> None:
    station = await stations()
    odd = [
        member(1, 'o"\\ \n\U0001f600', '{"ä": [1.0, null,\n "\\u0000"]}'.encode()),
        member(2, "u" * 255, b'"' + b"x" * 4094 + b'"'),
        member(3, None, b"null"),
        member(4, "client:" + f"{5:032x}"),
        member(5),
    ]
    await update(station, come("e:c", *odd))
    assert await present(station, "e:c") == odd
    assert await heard(station) == [([], sorted(odd, key=lambda some: some.name))]


async def test_channels_are_apart_and_told_together(stations: Stations) -> None:
    station = await stations()
    channels = [f"{'pe'[number % 2]}:{number}" for number in range(200)]
    changes = [come(channel, *[member(n, "ann") for n in range(1 + k % 3)]) for k, channel in enumerate(channels)]
    counts = [1 + number % 3 for number in range(200)]
    assert await update(station, *changes) == counts
    assert await kept(station.broker.presence.refresh(channels)) == counts
    assert await kept(station.broker.presence.refresh([*channels[:2], "p:other"])) == [1, 2, 0]
    assert await present(station, channels[2]) == [member(n, "ann") for n in range(3)]
    assert await update(station) == []
    assert await kept(station.broker.presence.refresh([])) == []


async def test_all_clients_without_a_user_count_as_one(stations: Stations) -> None:
    station = await stations()
    members = [member(1, "ann"), member(2, "ann"), member(3, "bob"), member(4), member(5)]
    await update(station, come("p:c", *members))
    assert await station.broker.presence.stats("p:c") == PresenceStats(clients=5, users=3)


async def test_channels_without_presence_have_none(stations: Stations) -> None:
    station = await stations()
    for ask in (station.broker.presence.members, station.broker.presence.stats):
        with pytest.raises(PresenceError, match="no presence"):
            await ask("c")


@SEVERAL
async def test_all_gateways_know_all_members(stations: Stations) -> None:
    here, there = await stations(), await stations()
    assert await update(here, come("p:c", ANN)) == [1]
    assert await update(there, come("p:c", BOB)) == [1]
    assert await present(here, "p:c") == await present(there, "p:c") == [ANN, BOB]
    assert await update(there, go("p:c", ANN)) == [1], "each removes its own ones"
    assert await present(here, "p:c") == [ANN, BOB]


async def test_users_come_with_their_first_client_and_go_with_the_last(stations: Stations) -> None:
    station = await stations()
    again = member(10, "ann")
    await update(station, come("e:c", ANN))
    await update(station, PresenceChange("e:c", [again], [ANN.client]))
    await update(station, PresenceChange("e:c", left=[again.client]))
    assert await present(station, "e:c") == []
    assert await kept(station.broker.presence.refresh(["e:c"])) == [0], "who lingers is no member"
    await update(station, PresenceChange("e:c", gone={"ann": again}))
    assert await heard(station) == [([], [ANN]), ([again], [])]


async def test_the_bus_knows_how_many_users_a_gateway_has_where_they_are_told(stations: Stations) -> None:
    """Who lingers is no member, and the bus may lose them all the same."""
    presence = (await stations()).broker.presence
    changes = [come(channel, ANN, BOB) for channel in ("e:c", "p:c")]
    assert await presence.update(changes) == [Tally(2, 2), Tally(2, 0)]
    await presence.update([PresenceChange(channel, left=[ANN.client, BOB.client]) for channel in ("e:c", "p:c")])
    assert await presence.refresh(["e:c", "p:c"]) == [Tally(0, 2), Tally(0, 0)]
    assert await presence.update([whole("e:c", BOB)]) == [Tally(1, 1)]


async def test_those_who_have_gone_are_told_first(stations: Stations) -> None:
    station = await stations()
    await update(station, come("e:c", ANN, EVE))
    back = member(4, "ann")
    await update(station, come("e:c", BOB, back, left=[ANN, EVE], gone=[ANN, EVE]))
    assert await heard(station) == [([], [EVE, ANN]), ([EVE, ANN], [back, BOB])]


async def test_no_event_tells_of_channels_without_events(stations: Stations) -> None:
    station = await stations()
    await station.broker.subscribe(f"{EVENTS}p:c")
    await update(station, come("p:c", ANN))
    await update(station, go("p:c", ANN))
    await heard(station)
    assert told(station, "p:c") == []


@SEVERAL
async def test_a_user_on_two_gateways_comes_once_and_goes_once(stations: Stations) -> None:
    here, there = await stations(), await stations()
    other = member(10, "ann")
    await update(here, come("e:c", ANN))
    await update(there, come("e:c", other))
    await update(here, go("e:c", ANN))
    assert await present(here, "e:c") == [other]
    await update(here, come("e:c", ANN))
    await update(there, go("e:c", other))
    assert await heard(here) == [([], [ANN])]
    await update(here, go("e:c", ANN))
    assert await heard(there) == await heard(here) == [([], [ANN]), ([ANN], [])]


@SEVERAL
async def test_gateways_that_race_tell_of_a_user_once(stations: Stations) -> None:
    here, there = await stations(), await stations()
    other = member(10, "ann")
    for number in range(1, 11):
        await asyncio.gather(update(here, come("e:c", ANN)), update(there, come("e:c", other)))
        await asyncio.gather(update(there, go("e:c", other)), update(here, go("e:c", ANN)))
        for station in (here, there):
            await wait_until(lambda s=station, n=number: len(told(s, "e:c")) == 2 * n)
    events = await heard(here)
    assert [(len(left), len(joined)) for left, joined in events] == [(0, 1), (1, 0)] * 10


async def test_what_is_told_twice_is_so_once(stations: Stations) -> None:
    """A gateway that got no answer tells it again."""
    station = await stations()
    for _ in range(2):
        assert await update(station, come("e:c", ANN, BOB)) == [2]
    for _ in range(2):
        assert await update(station, go("e:c", ANN)) == [1]
    assert await present(station, "e:c") == [BOB]
    assert await heard(station) == [([], [ANN, BOB]), ([ANN], [])]


async def test_what_is_whole_replaces_all_and_is_not_told(stations: Stations) -> None:
    station = await stations()
    await update(station, come("e:c", ANN, BOB), come("p:c", ANN, BOB))
    assert await update(station, whole("e:c", BOB, EVE), whole("p:c", EVE)) == [2, 1]
    assert await present(station, "e:c") == [BOB, EVE]
    assert await present(station, "p:c") == [EVE]
    await update(station, go("e:c", ANN, EVE))
    assert await heard(station) == [([], [ANN, BOB]), ([EVE], [])]
    assert await update(station, whole("e:c")) == [0]
    assert await present(station, "e:c") == []


@SEVERAL
async def test_what_is_whole_leaves_other_gateways_alone(stations: Stations) -> None:
    here, there = await stations(), await stations()
    other = member(10, "ann")
    await update(here, come("e:c", ANN))
    await update(there, come("e:c", other))
    assert await update(there, whole("e:c")) == [0]
    assert await present(there, "e:c") == [ANN]
    await update(here, go("e:c", ANN))
    assert await heard(here) == [([], [ANN]), ([ANN], [])]


@pytest.mark.parametrize("channel", ["p:c", "e:c"])
async def test_a_crowd_is_told_and_shown(stations: Stations, channel: str) -> None:
    station = await stations()
    crowd = [member(number, f"user {number}", b'{"color": "red"}') for number in range(2_000)]
    assert await update(station, come(channel, *crowd)) == [2_000]
    assert await present(station, channel) == crowd
    assert await update(station, whole(channel, *crowd[:1500])) == [1500]
    assert await update(station, go(channel, *crowd[1:])) == [1]
    assert await present(station, channel) == crowd[:1]
    if channel == "e:c":
        events = await heard(station)
        joined = [some for _, came in events for some in came]
        left = [some for went, _ in events for some in went]
        assert sorted(joined, key=lambda some: some.client) == crowd
        assert sorted(left, key=lambda some: some.client) == crowd[1:1500]


async def test_no_reading_returns_more_than_there_may_be(stations: Stations, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await stations()
    crowd = [member(number, info=b'"' + b"x" * number + b'"') for number in range(701)]
    monkeypatch.setattr("relay.brokers.presence.MAX_PRESENCE_BYTES", sum(map(size_of, crowd[:700])))
    await update(station, come("p:c", *crowd[:700]))
    assert await present(station, "p:c") == crowd[:700]
    await update(station, come("p:c", *crowd[700:]))
    with pytest.raises(TooManyMembers):
        await station.broker.presence.members("p:c")
    assert await station.broker.presence.stats("p:c") == PresenceStats(701, 1)


async def test_calls_take_effect_in_their_order(stations: Stations) -> None:
    presence = (await stations()).broker.presence
    calls = [presence.update([come("p:c", ANN) if number % 2 else go("p:c", ANN)]) for number in range(20)]
    assert await asyncio.gather(*map(kept, calls)) == [[number % 2] for number in range(20)]

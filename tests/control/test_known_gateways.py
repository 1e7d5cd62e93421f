"""Gateways on a bus that doesn't count all receivers: they announce themselves, and surveys wait for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from relay.control.messages import (
    CONTROL_CHANNEL,
    NodeAnnouncement,
    NodeShutdown,
    SurveyReply,
    decode_broadcast,
    decode_inbox,
    encode,
    inbox,
)
from relay.control.nodes import MAX_NODES
from relay.control.surveys import SurveyError
from relay.message import Message
from tests.control.server_bus import Gateway, ServerBus
from tests.harness.conditions import wait_until

Start = Callable[..., Gateway]


@pytest.fixture
def bus() -> ServerBus:
    return ServerBus()


@pytest.fixture
def start(bus: ServerBus) -> Iterator[Start]:
    """Start gateways by their names."""
    started: list[Gateway] = []

    def start(name: str, announce_seconds: float = 60.0) -> Gateway:
        started.append(Gateway(bus, name, announce_seconds=announce_seconds))
        return started[-1]

    yield start
    for gateway in started:
        gateway.control.stop()


def names(replies: list[SurveyReply]) -> list[str]:
    """Return the names of the gateways that replied."""
    return sorted(reply.about.name for reply in replies if reply.about is not None)


def known(gateway: Gateway) -> list[str]:
    """Return the names of the gateways that one knows, itself included."""
    table = gateway.control._nodes
    assert table is not None
    return sorted(table.name(uid) for uid in table)


async def test_newcomers_and_the_others_know_each_other_at_once(bus: ServerBus, start: Start) -> None:
    gateways = [start(name) for name in "abc"]
    await wait_until(lambda: all(known(gateway) == ["a", "b", "c"] for gateway in gateways))
    newcomer = start("d")
    await wait_until(lambda: all(known(gateway) == ["a", "b", "c", "d"] for gateway in [*gateways, newcomer]))
    replies = [message for message in bus.published if message.channel == inbox(newcomer.control.uid)]
    assert len(replies) == 3
    assert all(isinstance(decode_inbox(message.payload), NodeAnnouncement) for message in replies)


async def test_a_survey_has_the_replies_of_all_though_the_bus_counts_one(start: Start) -> None:
    gateways = [start(name, announce_seconds=0.05) for name in "abc"]
    await wait_until(lambda: all(gateway.control._nodes.settled for gateway in gateways))  # type: ignore[union-attr]
    for gateway in gateways:
        assert names(await gateway.control.survey()) == ["a", "b", "c"]
        replies = await gateway.control.survey("*")
        assert [reply.channels for reply in replies] == [{}, {}, {}]
        assert len({reply.uid for reply in replies}) == 3


async def test_a_gateway_that_has_just_started_leaves_out_no_other(start: Start) -> None:
    for name in "ab":
        start(name)
    assert names(await start("c").control.survey()) == ["a", "b", "c"]


async def test_a_gateway_that_was_killed_is_missed_by_name(start: Start) -> None:
    here, there = start("here"), start("there")
    await wait_until(lambda: known(here) == ["here", "there"])
    there.kill()
    with pytest.raises(SurveyError, match=r"only 1 of 2 .* missing: there$"):
        await here.control.survey()


async def test_a_gateway_that_was_killed_is_forgotten_after_a_while(start: Start) -> None:
    here, there = start("here", announce_seconds=0.05), start("there", announce_seconds=0.05)
    await wait_until(lambda: known(here) == ["here", "there"])
    there.kill()
    await wait_until(lambda: known(here) == ["here"])
    assert names(await here.control.survey()) == ["here"]


async def test_a_gateway_that_leaves_is_not_missed(bus: ServerBus, start: Start) -> None:
    here, there = start("here"), start("there")
    await wait_until(lambda: known(here) == known(there) == ["here", "there"])
    there.control.leave()
    there.kill()
    await wait_until(lambda: known(here) == ["here"])
    assert names(await here.control.survey()) == ["here"]
    assert decode_broadcast(bus.published[-3].payload) == NodeShutdown(uid=there.control.uid)


async def test_a_gateway_that_leaves_during_a_survey_is_not_waited_for(start: Start) -> None:
    here, there = start("here"), start("there")
    await wait_until(lambda: known(here) == ["here", "there"])
    there.node.hub.listen(CONTROL_CHANNEL, lambda message: None)  # it replies to nothing more
    survey = asyncio.create_task(here.control.survey())
    await asyncio.sleep(0)
    there.control.leave()
    assert names(await survey) == ["here"]


async def test_a_gateway_that_leaves_announces_itself_no_more(bus: ServerBus, start: Start) -> None:
    here, there = start("here", announce_seconds=0.01), start("there")
    await wait_until(lambda: known(there) == ["here", "there"])
    here.control.leave()
    await wait_until(lambda: known(there) == ["there"])
    start("newcomer")
    await wait_until(lambda: known(there) == ["newcomer", "there"])
    last = [decode_broadcast(message.payload) for message in bus.published if message.channel == CONTROL_CHANNEL][-2:]
    assert [type(message) for message in last] == [NodeShutdown, NodeAnnouncement]


async def test_gateways_announce_themselves_again_and_again(bus: ServerBus, start: Start) -> None:
    gateway = start("here", announce_seconds=0.01)
    expected = encode(NodeAnnouncement(uid=gateway.control.uid, name="here"))
    await wait_until(lambda: len(bus.published) >= 4)
    assert bus.published == [Message(CONTROL_CHANNEL, expected)] * len(bus.published)


async def test_more_gateways_than_have_room_are_counted_and_logged(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Every program that may write to the bus can announce gateways."""
    gateway = start("here")
    await wait_until(lambda: known(gateway) == ["here"])
    for number in range(MAX_NODES + 5):
        gateway.control.send(NodeAnnouncement(uid=f"{number:016x}", name="host:1"))
    await wait_until(lambda: gateway.counters.bus_errors == 6)
    assert len(known(gateway)) == MAX_NODES
    assert f"more than {MAX_NODES} gateways" in caplog.text


async def test_a_name_that_is_too_long_is_cut_where_it_would_be_refused(start: Start) -> None:
    here, there = start("x" * 400), start("there")
    await wait_until(lambda: known(there) == ["there", "x" * 300])
    assert (here.counters.bus_errors, there.counters.bus_errors) == (0, 0)

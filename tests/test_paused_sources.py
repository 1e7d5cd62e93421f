"""Publishers that wait until the bus takes more."""

from __future__ import annotations

import asyncio

import pytest

from relay.message import Message
from relay.paused_sources import HELD_BACK_PER_TURN, RESUMED_PER_TURN
from tests.spied_node import Eager, join, make


async def test_a_publisher_is_paused_once_and_resumed_when_the_bus_takes_more() -> None:
    node, spy = make()
    client = join(node, "c")
    spy.takes_more = False
    for _ in range(3):
        node.publish(Message("c", b"x", origin=client.id), client)
    assert client.paused
    node.writable()
    await asyncio.sleep(0)
    assert not client.paused


async def test_publishers_go_on_in_the_order_in_which_they_were_paused_while_there_is_room() -> None:
    """Those that find no room again keep their turn; so none is left behind by faster ones."""
    node, spy = make()
    clients = [Eager(node, number) for number in range(3)]
    spy.takes_more = False
    for client in clients:
        client.publish()
    said: list[int] = []
    for client in clients:
        client.said = said
    spy.room = 1
    for expected in ([0], [0, 1], [0, 1, 2], [0, 1, 2, 0]):
        spy.room = 1
        node.writable()
        await asyncio.sleep(0)
        assert said == expected
        assert all(client.paused for client in clients)
        assert node.congested


async def test_many_paused_publishers_go_on_in_several_turns() -> None:
    node, spy = make()
    clients = [join(node, "c") for _ in range(2 * RESUMED_PER_TURN + 1)]
    spy.takes_more = False
    for client in clients:
        node.publish(Message("c", b"x", origin=client.id), client)
    node.writable()
    node.writable()
    for left in (RESUMED_PER_TURN + 1, 1, 0):
        await asyncio.sleep(0)
        assert node.paused_publishers == left
    assert not any(client.paused for client in clients)


async def test_few_of_those_at_full_speed_go_on_in_a_turn() -> None:
    """Each brings a whole read buffer, and others have one message."""
    node, spy = make()
    fast, slow = ([join(node, "c") for _ in range(2 * HELD_BACK_PER_TURN)] for _ in range(2))
    spy.holds_back, spy.takes_more = True, False
    for client in fast:
        node.hold_back(client)
    for client in slow:
        node.publish(Message("c", b"x", origin=client.id), client)
    spy.holds_back = False
    node.writable()
    for left in (len(slow) + HELD_BACK_PER_TURN, len(slow), 0):
        await asyncio.sleep(0)
        assert node.paused_publishers == left


@pytest.mark.parametrize(("problem", "left"), [("", 2), ("Redis is away", 0)])
async def test_paused_publishers_wait_while_much_is_on_its_way(problem: str, left: int) -> None:
    """They would all bring a read buffer at once. While the bus is away, what they have kept has to fail in time."""
    node, spy = make()
    clients = [join(node, "c") for _ in range(2)]
    spy.takes_more = False
    for client in clients:
        node.publish(Message("c", b"x", origin=client.id), client)
    spy.holds_back, spy.problem = True, problem
    node.writable()
    await asyncio.sleep(0)
    assert node.paused_publishers == left
    spy.holds_back = False
    node.writable()
    await asyncio.sleep(0)
    assert not node.paused_publishers


@pytest.mark.parametrize(("problem", "held"), [("", 1), ("Redis is away", 0)])
async def test_a_publisher_at_full_speed_is_held_back_unless_the_bus_is_away(problem: str, held: int) -> None:
    """Nothing of it may wait for the bus: then nothing would tell it to go on before the bus is back."""
    node, spy = make()
    spy.holds_back, spy.problem = True, problem
    node.hold_back(join(node, "c"))
    assert node.paused_publishers == held


async def test_a_publisher_that_has_left_is_not_resumed() -> None:
    node, spy = make()
    client = join(node, "c")
    spy.takes_more = False
    node.publish(Message("c", b"x", origin=client.id), client)
    node.forget(client)
    node.writable()
    await asyncio.sleep(0)
    assert client.paused


async def test_a_fault_of_one_publisher_reaches_neither_the_bus_nor_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node, spy = make()
    broken, sound = join(node, "c"), join(node, "c")
    broken.resume_publishing = lambda: 1 // 0  # type: ignore[method-assign, assignment]
    spy.takes_more = False
    for client in (broken, sound):
        node.publish(Message("c", b"x", origin=client.id), client)
    node.writable()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not sound.paused
    assert "ZeroDivisionError" in caplog.text

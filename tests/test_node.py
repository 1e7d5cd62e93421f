"""Claims on bus subscriptions, and pausing of publishers."""

from __future__ import annotations

import asyncio

from relay.message import Message
from tests.harness.conditions import stays_true, wait_until
from tests.spied_node import join, make


async def test_ids_are_unique_over_nodes() -> None:
    ids = {make()[0].new_id() for _ in range(50)} | {make()[0].new_id() for _ in range(50)}
    assert len(ids) == 100
    assert {len(id) for id in ids} == {16}


async def test_the_bus_is_told_a_while_after_the_last_client_has_left() -> None:
    node, spy = make()
    first, _ = node.claim("c")
    second, _ = node.claim("c")
    node.release(first)
    assert await stays_true(lambda: "-c" not in spy.asked, 0.04)
    node.release(second)
    assert "-c" not in spy.asked
    await wait_until(lambda: "-c" in spy.asked)
    assert node.interests == 0


async def test_flapping_clients_never_reach_the_bus() -> None:
    node, spy = make(unsubscribe_delay=0.05)
    for _ in range(50):
        interest, _ = node.claim("c")
        await asyncio.sleep(0)
        node.release(interest)
    assert "-c" not in spy.asked
    interest, _ = node.claim("c")
    assert await stays_true(lambda: "-c" not in spy.asked, 0.08)
    node.release(interest)
    await wait_until(lambda: spy.asked[-1] == "-c")
    assert spy.asked.count("-c") == 1


async def test_messages_of_one_tick_are_fanned_out_together() -> None:
    node, _ = make()
    a, b = join(node, "c"), join(node, "c")
    for number in range(3):
        node.publish(Message("c", b"%d" % number, origin=a.id), a)
    assert b.chunks == []
    await asyncio.sleep(0)
    assert b.chunks == [b"012"]


async def test_a_write_delay_bounds_the_rate_but_not_the_first_message() -> None:
    node, _ = make(write_delay=0.5)
    a, b = join(node, "c"), join(node, "c")
    node.publish(Message("c", b"first", origin=a.id), a)
    await asyncio.sleep(0)
    assert b.chunks == [b"first"]
    for number in range(5):
        node.publish(Message("c", b"%d" % number, origin=a.id), a)
        await asyncio.sleep(0)
    assert b.chunks == [b"first"]
    await wait_until(lambda: len(b.chunks) == 2)
    assert b.chunks[1] == b"01234"


async def test_gaps_are_counted() -> None:
    node, _ = make()
    node.gap(["a", "b", "c"], 1.5)
    node.gap(["a", "d"], 0.1)
    assert (node.counters.gaps, node.counters.gap_channels) == (2, 5)


async def test_draining_flushes_and_stopping_cancels_the_delayed_unsubscribe() -> None:
    node, spy = make(unsubscribe_delay=0.02)
    a, b = join(node, "c"), join(node, "c")
    lonely, _ = node.claim("d")
    node.publish(Message("c", b"last", origin=a.id), a)
    node.release(lonely)
    await node.drain()
    assert b.chunks == [b"last"]
    await node.stop()
    assert await stays_true(lambda: "-d" not in spy.asked, 0.04)

"""The messages of one HTTP request on their way to a bus that is in the test's hands."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from relay.brokers import Published, Source
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishRefused
from relay.message import Message
from relay.node import Node
from relay.web.publish_window import RESPONSE_SECONDS, WINDOW_BYTES, PublishWindow
from tests.harness.conditions import stays_true, wait_until

LARGE = Message("c", bytes(WINDOW_BYTES // 2 - 300))


class HandNode:
    """A node whose messages are acknowledged by the test."""

    def __init__(self) -> None:
        self.submitted: list[asyncio.Future[Published]] = []

    def submit(self, message: Message, source: Source, idempotency_key: str | None) -> asyncio.Future[Published]:
        self.submitted.append(asyncio.get_running_loop().create_future())
        return self.submitted[-1]


def make(seconds: float = RESPONSE_SECONDS) -> tuple[HandNode, PublishWindow]:
    """Return a node and a window to it."""
    node = HandNode()
    return node, PublishWindow(cast(Node, node), Share.POSTS, seconds)


async def test_a_request_has_a_window_on_its_way_at_a_time() -> None:
    node, window = make()
    sending = asyncio.create_task(_send_all(window, 5))
    await wait_until(lambda: len(node.submitted) == 2)
    assert await stays_true(lambda: len(node.submitted) == 2, 0.05)
    for number in range(5):
        await wait_until(lambda number=number: len(node.submitted) > number)
        node.submitted[number].set_result(Published(number))
    assert [await window.acknowledged(future) for future in await sending] == [Published(number) for number in range(5)]


async def test_after_an_outage_nothing_more_is_sent_but_after_a_refusal_it_is() -> None:
    for error, total in ((BusUnavailable("away"), 2), (DeliveryUnknown("lost"), 2), (PublishRefused("NOPERM"), 3)):
        node, window = make()
        sending = asyncio.create_task(_send_all(window, 3))
        await wait_until(lambda node=node: len(node.submitted) == 2)
        node.submitted[0].set_exception(error)
        node.submitted[1].set_result(Published(1))
        futures = await sending
        assert len(node.submitted) == total
        with pytest.raises(type(error)):
            await window.acknowledged(futures[0])
        assert await window.acknowledged(futures[1]) == Published(1)
        if total == 2:
            with pytest.raises(BusUnavailable, match="earlier"):
                await window.acknowledged(futures[2])


async def test_a_message_that_fails_at_once_is_not_overtaken_by_the_next() -> None:
    """Before its future is waited for: a smaller message might still find room."""
    node, window = make()
    small = Message("c", b"x")
    first = await window.publish(small)
    window.publish_failed(PublishBufferFull("full"))  # as the bus tells the source of the request
    with pytest.raises(BusUnavailable, match="earlier"):
        await window.acknowledged(await window.publish(small))
    assert node.submitted == [first]


async def test_a_request_does_not_wait_for_ever() -> None:
    _node, window = make(seconds=0.05)
    with pytest.raises(DeliveryUnknown, match="may yet be published"):
        await window.acknowledged(await window.publish(LARGE))
    assert window.seconds_left == 0


async def test_a_request_can_wait_until_all_is_settled_whatever_became_of_it() -> None:
    node, window = make()
    await window.settle()
    for _ in range(2):
        await window.publish(Message("c", b"x"))
    settling = asyncio.create_task(window.settle())
    node.submitted[0].set_exception(PublishRefused("NOPERM"))
    assert await stays_true(lambda: not settling.done(), 0.05)
    node.submitted[1].set_result(Published(1))
    await settling


async def test_what_is_not_settled_in_time_is_not_waited_for() -> None:
    _node, window = make(seconds=0.05)
    await window.publish(Message("c", b"x"))
    await window.settle()
    assert window.seconds_left == 0


async def _send_all(window: PublishWindow, count: int) -> list[asyncio.Future[Published]]:
    return [await window.publish(LARGE) for _ in range(count)]

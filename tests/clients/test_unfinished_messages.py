"""A deadline for messages that have begun."""

from __future__ import annotations

import asyncio

from relay.clients.unfinished_messages import CHECKS_PER_TIMEOUT, UnfinishedMessages, message_timeout
from tests.harness.conditions import wait_until


class Sender:
    """A connection that has sent a part of a message."""

    def __init__(self) -> None:
        self.reading = True
        self.given_up = 0

    def give_up_message(self) -> None:
        self.given_up += 1


def test_a_message_is_given_up_after_the_timeout_and_once() -> None:
    unfinished, sender = UnfinishedMessages(30), Sender()
    unfinished.add(sender)
    for _ in range(CHECKS_PER_TIMEOUT):
        unfinished.check()
        unfinished.add(sender)  # more of it came
        assert not sender.given_up
    unfinished.check()
    unfinished.check()
    assert sender.given_up == 1
    assert not len(unfinished)


def test_each_message_has_its_own_time() -> None:
    unfinished, sender = UnfinishedMessages(30), Sender()
    for _ in range(3 * CHECKS_PER_TIMEOUT):
        unfinished.add(sender)
        unfinished.check()
        unfinished.discard(sender)
        unfinished.discard(sender)
    assert not sender.given_up


def test_a_client_that_is_not_read_is_not_judged() -> None:
    unfinished, sender = UnfinishedMessages(30), Sender()
    unfinished.add(sender)
    sender.reading = False
    for _ in range(3 * CHECKS_PER_TIMEOUT):
        unfinished.check()
    sender.reading = True
    for _ in range(CHECKS_PER_TIMEOUT):
        unfinished.check()
    assert not sender.given_up
    unfinished.check()
    assert sender.given_up


async def test_it_checks_again_and_again() -> None:
    unfinished, sender = UnfinishedMessages(0.01), Sender()
    unfinished.add(sender)
    task = asyncio.create_task(unfinished.run())
    await wait_until(lambda: sender.given_up == 1)
    task.cancel()


def test_large_messages_have_more_time() -> None:
    assert 30 < message_timeout(65_536) < 40
    assert message_timeout(67_108_864) > 3600

"""Messages that aren't published, and who is told of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay.brokers.redis.link import pack
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishRefused
from tests.brokers.recording import Outcomes, RecordingSource
from tests.brokers.redis.publication_desk import ONE, Desk, tick
from tests.harness.conditions import wait_until
from tests.harness.virtual_time import in_virtual_time


async def test_unanswered_messages_are_unknown_when_the_link_breaks_and_never_sent_again() -> None:
    desk, sent, answered, waiting = Desk(), RecordingSource(), RecordingSource(), RecordingSource()
    desk.connect()
    desk.say(answered, "a")
    desk.say(sent, "s1")
    await tick()
    desk.answer(ONE)
    desk.say(sent, "s2")
    desk.say(waiting, "w")
    desk.lose()
    assert [type(error) for error in sent.errors] == [DeliveryUnknown]
    assert (answered.errors, waiting.errors) == ([], [])
    assert desk.counters.publish_failures == {"DELIVERY_UNKNOWN": 2}
    link = desk.connect()
    assert b"".join(link.written) == pack("PUBLISH", "c", "w")


@in_virtual_time
async def test_messages_that_wait_too_long_fail_and_take_their_followers_with_them() -> None:
    desk, early, late = Desk(publish_timeout=2), RecordingSource(), RecordingSource()
    desk.say(early, "1")
    await asyncio.sleep(0.8)  # virtual
    desk.say(early, "2")
    desk.say(late, "3")
    await wait_until(lambda: early.errors)
    assert isinstance(early.errors[0], BusUnavailable)
    assert late.errors == []
    link = desk.connect()
    assert b"".join(link.written) == pack("PUBLISH", "c", "3")
    assert desk.counters.publish_failures == {"BUS_UNAVAILABLE": 2}


@in_virtual_time
async def test_a_later_message_has_its_own_deadline() -> None:
    desk, early, late = Desk(publish_timeout=2), RecordingSource(), RecordingSource()
    desk.say(early, "1")
    await asyncio.sleep(1)  # virtual, as below
    desk.say(late, "2")
    await asyncio.sleep(1.9)  # virtual
    assert early.errors
    assert not late.errors
    await asyncio.sleep(0.2)  # virtual
    assert late.errors
    assert desk.counters.publish_failures == {"BUS_UNAVAILABLE": 2}


async def test_giving_up_tells_everybody_and_takes_no_late_answer_for_another() -> None:
    desk, sent, waiting, outcomes = Desk(), RecordingSource(), RecordingSource(), Outcomes()
    link = desk.connect()
    desk.say(sent, "1")
    desk.publications.publish(pack("PUBLISH", "c", "2"), RecordingSource(Share.POSTS), outcomes)
    await tick()
    desk.say(waiting, "3")
    assert desk.publications.unsettled() >= {sent, waiting}
    desk.publications.give_up()
    assert [type(error) for error in sent.errors] == [DeliveryUnknown]
    assert [type(error) for error in outcomes.errors] == [DeliveryUnknown]
    assert [type(error) for error in waiting.errors] == [BusUnavailable]
    assert link.aborted == ["given up"]
    assert desk.publications.unsettled() == set()
    assert not any(desk.publications.buffered.values())


async def test_an_error_reply_is_told_to_the_source_of_that_message_only() -> None:
    desk, first, second = Desk(), RecordingSource(), RecordingSource()
    desk.connect()
    desk.say(first, "1")
    desk.say(second, "2")
    await tick()
    desk.answer(b"-NOPERM no\r\n", ONE)
    assert [type(error) for error in first.errors] == [PublishRefused]
    assert second.errors == []
    assert (desk.counters.bus_errors, desk.counters.messages_published) == (1, 1)


async def test_stopping_tells_those_who_still_wait() -> None:
    desk, source = Desk(), RecordingSource()
    desk.say(source, "1")
    await tick()
    await desk.publications.stop()
    assert [type(error) for error in source.errors] == [BusUnavailable]


@pytest.mark.parametrize("sources", [1, 50])
async def test_a_failing_source_never_disturbs_the_order_of_others(sources: int) -> None:
    desk, steady = Desk(), RecordingSource()
    failing = [RecordingSource() for _ in range(sources)]
    link = desk.connect()
    for source in failing:
        desk.say(source, "in flight")
    await tick()
    expected = []
    for number in range(100):
        desk.say(failing[number % sources], f"dropped {number}")
        desk.say(steady, str(number))
        expected.append(pack("PUBLISH", "c", str(number)))
    desk.lose()
    link = desk.connect()
    assert b"".join(link.written) == b"".join(expected)
    assert steady.errors == []


async def test_refusals_of_a_chunk_are_settled_together(caplog: pytest.LogCaptureFixture) -> None:
    """Redis may refuse every message of a client: neither time nor log may grow with it."""
    desk, sources = Desk(), [RecordingSource() for _ in range(20)]
    desk.connect()
    for number in range(4000):
        desk.say(sources[number % 20], "refused")
    await tick()
    for number in range(4000):
        desk.say(sources[number % 20], "waits")
    began = time.process_time()
    for _ in range(40):
        desk.answer(b"-NOPERM no\r\n" * 100)
    assert time.process_time() - began < 5, "each refusal goes through all that waits"
    assert caplog.text.count("publish refused") == 1
    assert desk.counters.publish_failures == {"PUBLISH_REFUSED": 8000}

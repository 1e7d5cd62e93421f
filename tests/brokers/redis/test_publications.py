"""What becomes of messages on their way to Redis, step by step, on a link made by hand."""

from __future__ import annotations

import asyncio

from relay.brokers.redis.link import pack
from tests.brokers.recording import RecordingSource
from tests.brokers.redis.publication_desk import ONE, Desk, tick
from tests.harness.virtual_time import in_virtual_time


async def test_the_messages_of_a_tick_go_out_in_one_write_in_order() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    assert desk.say(source, "1")
    assert desk.say(source, "2")
    assert link.written == []
    await tick()
    assert link.written == [pack("PUBLISH", "c", "1") + pack("PUBLISH", "c", "2")]
    desk.answer(ONE, ONE)
    assert desk.counters.messages_published == 2
    assert desk.counters.publish_latency.count == 2
    assert 0 < desk.counters.publish_latency.seconds < 20


async def test_without_a_link_messages_wait_and_the_source_is_told_to_pause() -> None:
    desk, source = Desk(), RecordingSource()
    assert not desk.say(source, "1")
    await tick()
    link = desk.connect()
    assert link.written == [pack("PUBLISH", "c", "1")]
    assert desk.resumed == 1
    assert desk.say(source, "2")


async def test_a_closed_gate_holds_messages_back() -> None:
    """While the gateway can't hear, it doesn't speak: its own clients would miss it."""
    desk, source = Desk(), RecordingSource()
    desk.gate = False
    link = desk.connect()
    assert not desk.say(source, "1")
    await tick()
    assert link.written == []
    desk.gate = True
    desk.publications.update()
    assert link.written == [pack("PUBLISH", "c", "1")]


async def test_a_full_socket_holds_messages_back() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    link.writable = False
    desk.publications.link_writable(False)
    assert not desk.say(source, "1")
    await tick()
    assert link.written == []
    link.writable = True
    desk.publications.link_writable(True)
    assert len(link.written) == 1


@in_virtual_time
async def test_draining_does_not_wait_for_what_comes_later() -> None:
    desk, source = Desk(), RecordingSource()
    desk.connect()
    desk.say(source, "1")
    await asyncio.sleep(1)  # virtual, as below
    draining = asyncio.create_task(desk.publications.drain())
    await asyncio.sleep(1)  # virtual
    desk.say(source, "2")
    await tick()
    desk.answer(ONE)
    await draining
    assert desk.publications.unsettled() == {source}


async def test_draining_ends_when_everything_is_answered() -> None:
    desk, source = Desk(), RecordingSource()
    desk.connect()
    await desk.publications.drain()
    desk.say(source, "1")
    draining = asyncio.create_task(desk.publications.drain())
    await tick()
    assert not draining.done()
    desk.answer(ONE)
    await draining


async def test_an_instance_has_so_few_attributes_that_they_share_their_keys() -> None:
    """From the 30th on, CPython 3.11 gives each instance a dictionary of its own, which is slower to read."""
    assert len(vars(Desk().publications)) <= 29

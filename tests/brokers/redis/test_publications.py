"""What becomes of messages on their way to Redis, step by step, on a link made by hand."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import hiredis
import pytest

from relay.brokers.redis.address import Address
from relay.brokers.redis.link import Link, pack
from relay.brokers.redis.publications import HIGH_WATER_BYTES, Publications
from relay.brokers.redis.server import Server
from relay.brokers.redis.supervised import PING
from relay.counters import Counters
from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishRefused
from tests.brokers.recording import RecordingSource
from tests.harness.conditions import wait_until


class HandLink:
    """A link whose writes are kept, and whose state the test sets."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.writable = True
        self.aborted: list[str] = []
        self.server = Server()

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self, reason: str) -> None:
        self.aborted.append(reason)


class Desk:
    """Publications with everything around them in the test's hands."""

    def __init__(self, *, publish_timeout: float = 5.0, buffer_bytes: int = 4 * HIGH_WATER_BYTES) -> None:
        self.counters = Counters()
        self.gate = True
        self.resumed = 0
        self.demotions = 0
        self.publications = Publications(
            Address(),
            3.0,
            1.0,
            self.counters,
            gate=lambda: self.gate,
            writable=self._resume,
            demoted=self._demote,
            publish_timeout=publish_timeout,
            buffer_bytes=buffer_bytes,
        )
        self._reader = hiredis.Reader()

    def _resume(self) -> None:
        self.resumed += 1

    def _demote(self) -> None:
        self.demotions += 1

    def connect(self) -> HandLink:
        """Open a link."""
        link = HandLink()
        self.publications.link = cast(Link, link)
        self.publications.problem = None
        self.publications.update()
        return link

    def lose(self) -> None:
        """Break the link."""
        self.publications.link = None
        self.publications.problem = "lost"
        self.publications.lost("lost")

    def answer(self, *replies: bytes) -> None:
        """Let Redis answer."""
        self._reader.feed(b"".join(replies))
        self.publications.replies_received(self._reader.gets)

    def say(self, source: RecordingSource | None, payload: Any) -> bool:
        """Publish."""
        return self.publications.publish(pack("PUBLISH", "c", payload), source)


async def tick() -> None:
    """Let what was called soon happen."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


ONE = b":1\r\n"


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


async def test_messages_that_wait_too_long_fail_and_take_their_followers_with_them() -> None:
    desk, early, late = Desk(publish_timeout=2), RecordingSource(), RecordingSource()
    desk.say(early, "1")
    await asyncio.sleep(0.8)
    desk.say(early, "2")
    desk.say(late, "3")
    await wait_until(lambda: early.errors)
    assert isinstance(early.errors[0], BusUnavailable)
    assert late.errors == []
    link = desk.connect()
    assert b"".join(link.written) == pack("PUBLISH", "c", "3")
    assert desk.counters.publish_failures == {"BUS_UNAVAILABLE": 2}


async def test_a_later_message_has_its_own_deadline() -> None:
    desk, early, late = Desk(publish_timeout=0.1), RecordingSource(), RecordingSource()
    desk.say(early, "1")
    await asyncio.sleep(0.05)
    desk.say(late, "2")
    await wait_until(lambda: early.errors and late.errors)
    assert desk.counters.publish_failures == {"BUS_UNAVAILABLE": 2}


async def test_the_buffer_is_bounded_and_keeps_what_it_had() -> None:
    size = len(pack("PUBLISH", "c", "x" * 100))
    desk, source, other = Desk(buffer_bytes=2 * size), RecordingSource(), RecordingSource()
    desk.say(source, "x" * 100)
    desk.say(source, "y" * 100)
    assert not desk.say(other, "z" * 100)
    assert not desk.say(None, "probe" * 20)
    assert [type(error) for error in other.errors] == [PublishBufferFull]
    assert source.errors == []
    link = desk.connect()
    assert b"".join(link.written) == pack("PUBLISH", "c", "x" * 100) + pack("PUBLISH", "c", "y" * 100)


async def test_sources_pause_above_high_water_and_go_on_when_redis_has_answered() -> None:
    desk, source = Desk(), RecordingSource()
    desk.connect()
    payload = "x" * (HIGH_WATER_BYTES // 4)
    taken = 1
    while desk.say(source, payload):
        taken += 1
    assert taken == 4
    await tick()
    assert desk.resumed == 0
    for _ in range(taken):
        desk.answer(ONE)
    assert desk.resumed == 1
    assert desk.say(source, "more")


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


async def test_pings_keep_their_place_among_the_replies() -> None:
    desk, source, link = Desk(), RecordingSource(), HandLink()
    link = desk.connect()
    desk.say(source, "1")
    await tick()
    desk.say(source, "2")
    desk.publications.ask(cast(Link, link))
    await tick()
    assert link.written[1:] == [PING, pack("PUBLISH", "c", "2")]
    desk.answer(ONE, b"+PONG\r\n", b"-ERR second\r\n")
    assert desk.counters.messages_published == 1
    assert len(source.errors) == 1


async def test_a_refused_question_is_not_taken_for_the_refusal_of_a_message() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    desk.publications.questions.asked_at = 1.0
    desk.say(source, "1")
    await tick()
    desk.publications.ask(cast(Link, link))
    desk.say(source, "2")
    await tick()
    desk.answer(ONE, b"-MISCONF can't save\r\n", ONE)
    assert source.errors == []
    assert link.aborted == []
    assert (desk.counters.messages_published, desk.counters.bus_errors) == (2, 1)
    assert not desk.publications.questions.asked_at
    assert desk.publications.questions.answered_until == 1.0


async def test_a_replica_is_noticed_by_the_next_question() -> None:
    desk = Desk()
    link = desk.connect()
    link.server = Server(role="master")
    for role in (b"master", b"replica"):
        desk.publications.questions.asked_at, until = 1.0, desk.publications.questions.answered_until
        desk.publications.ask(cast(Link, link))
        assert link.written[-1] == pack("HELLO")
        assert desk.demotions == 0
        desk.answer(b"*2\r\n$4\r\nrole\r\n$%d\r\n%b\r\n" % (len(role), role))
    assert desk.demotions == 1
    assert desk.publications.questions.answered_until == until == 1.0, "what a replica says proves nothing"


async def test_probes_count_for_nobody() -> None:
    desk = Desk(publish_timeout=0.05)
    desk.connect()
    desk.say(None, "probe")
    await tick()
    desk.answer(ONE)
    desk.say(None, "probe")
    await tick()
    desk.lose()
    desk.say(None, "probe")
    await desk.publications.stop()
    assert desk.counters.messages_published == 0
    assert desk.counters.publish_failures == {}


async def test_an_answer_to_nothing_ends_the_link() -> None:
    desk = Desk()
    link = desk.connect()
    desk.answer(ONE)
    assert link.aborted == ["unexpected reply: 1"]


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
    """Redis may refuse everything that strangers send: neither time nor log may grow with it."""
    desk, sources = Desk(), [RecordingSource() for _ in range(20)]
    desk.connect()
    for number in range(4000):
        desk.say(sources[number % 20], "refused")
    await tick()
    for number in range(4000):
        desk.say(sources[number % 20], "waits")
    began = asyncio.get_running_loop().time()
    for _ in range(40):
        desk.answer(b"-NOPERM no\r\n" * 100)
    assert asyncio.get_running_loop().time() - began < 1
    assert caplog.text.count("publish refused") == 1
    assert desk.counters.publish_failures == {"PUBLISH_REFUSED": 8000}


async def test_only_what_redis_took_has_a_receipt() -> None:
    desk, source = Desk(), RecordingSource()
    heard: list[int] = []
    desk.connect()
    for payload in (b"taken", b"refused", b"lost"):
        desk.publications.publish(pack("PUBLISH", "c", payload), source, heard.append)
    await tick()
    desk.answer(b":3\r\n", b"-NOPERM no\r\n")
    assert heard == [3]
    desk.lose()
    assert heard == [3]
    assert [type(error) for error in source.errors] == [PublishRefused, DeliveryUnknown]

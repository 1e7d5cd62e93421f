"""What becomes of messages on their way to Redis, step by step, on a link made by hand."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import hiredis
import pytest

from relay.brokers.redis.address import Address, fixed
from relay.brokers.redis.durability import Durability
from relay.brokers.redis.link import Link, pack
from relay.brokers.redis.publications import Publications
from relay.brokers.redis.publish_queue import HIGH_WATER_BYTES, LOW_WATER_BYTES
from relay.brokers.redis.scripting import Scripting
from relay.brokers.redis.server import Server
from relay.brokers.redis.supervised_link import PING
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishRefused
from relay.metrics.counters import Counters
from tests.brokers.recording import Outcomes, RecordingSource
from tests.harness.conditions import wait_until
from tests.harness.virtual_time import in_virtual_time


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
        self.scripting = Scripting(b"PUBLISH", "relay:", None, Durability())
        self.publications = Publications(
            fixed(Address()),
            3.0,
            1.0,
            self.counters,
            gate=lambda: self.gate,
            writable=self._resume,
            demoted=self._demote,
            publish_timeout=publish_timeout,
            buffer_bytes=buffer_bytes,
            scripting=self.scripting,
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


async def test_the_buffer_is_bounded_also_for_sources_that_do_not_pause() -> None:
    size = len(pack("PUBLISH", "c", "x" * 100))
    desk, source, other = Desk(buffer_bytes=4 * size), RecordingSource(), RecordingSource()
    desk.say(source, "x" * 100)
    assert not desk.publications.congested
    desk.say(source, "y" * 100)
    assert desk.publications.congested
    assert not desk.say(other, "z" * 100)
    assert [type(error) for error in other.errors] == [PublishBufferFull]
    assert source.errors == []
    link = desk.connect()
    assert b"".join(link.written) == pack("PUBLISH", "c", "x" * 100) + pack("PUBLISH", "c", "y" * 100)


@pytest.mark.parametrize("share", [Share.POSTS, Share.BACK_ENDS])
async def test_a_share_that_is_used_up_takes_nothing_from_the_others(share: Share) -> None:
    desk = Desk(buffer_bytes=4000)
    outcomes = Outcomes()
    greedy, client = RecordingSource(share), RecordingSource()
    for _ in range(20):
        desk.publications.publish(pack("PUBLISH", "c", "x" * 450), greedy, outcomes)
    assert {type(error) for error in outcomes.errors} == {PublishBufferFull}
    assert f"of {share.value} wait" in str(outcomes.errors[0])
    assert len(outcomes.errors) == 17
    assert desk.counters.publish_failures == {"PUBLISH_BUFFER_FULL": 17}
    for other in {Share.POSTS, Share.BACK_ENDS} - {share}:
        desk.publications.publish(pack("PUBLISH", "c", "x"), RecordingSource(other), outcomes)
    while not desk.publications.congested:
        desk.say(client, "x" * 450)
    assert client.errors == []
    assert len(outcomes.errors) == 17
    link = desk.connect()
    assert b"".join(link.written).count(b"PUBLISH") == 3 + 1 + 5
    desk.answer(ONE * 9)
    assert outcomes.heard == [1] * 4
    assert not any(desk.publications.buffered.values())


async def test_the_largest_message_finds_room_in_the_smallest_buffer() -> None:
    desk, outcomes = Desk(buffer_bytes=1000), Outcomes()
    desk.connect()
    for share in Share:
        source = RecordingSource(share)
        receipt = None if share is Share.CLIENTS else outcomes
        desk.publications.publish(pack("PUBLISH", "c", "x" * 1000), source, receipt)
        assert source.errors == []
    assert outcomes.errors == []


async def test_posts_that_wait_do_not_pause_clients() -> None:
    desk, client, outcomes = Desk(buffer_bytes=8 * HIGH_WATER_BYTES), RecordingSource(), Outcomes()
    desk.connect()
    for _ in range(5):
        for share in (Share.POSTS, Share.BACK_ENDS):
            desk.publications.publish(pack("PUBLISH", "c", bytes(300_000)), RecordingSource(share), outcomes)
    assert desk.say(client, "1")
    assert not desk.publications.hold_back()


async def test_a_source_at_full_speed_is_held_back_before_the_others_are_paused() -> None:
    desk, fast, slow = Desk(), RecordingSource(), RecordingSource()
    desk.connect()
    assert not desk.publications.hold_back()
    assert desk.say(fast, bytes(LOW_WATER_BYTES))
    assert desk.publications.hold_back()
    assert desk.say(slow, "1")
    await tick()
    desk.answer(ONE)
    assert desk.resumed == 1


async def test_room_is_told_also_while_redis_is_away() -> None:
    """What clients hold in their hands must get its turn to fail, too."""
    desk, source = Desk(publish_timeout=0.01, buffer_bytes=4000), RecordingSource()
    while not desk.publications.congested:
        desk.say(source, "x" * 450)
    assert desk.resumed == 0
    await wait_until(lambda: source.errors)
    assert desk.resumed == 1
    assert not desk.publications.congested


@pytest.mark.parametrize("deaf", [False, True])
async def test_who_is_held_back_goes_on_when_redis_goes_away(deaf: bool) -> None:
    """What such a source has kept must get its turn to fail."""
    desk, source = Desk(), RecordingSource()
    desk.connect()
    desk.say(source, bytes(LOW_WATER_BYTES))
    await tick()
    assert desk.publications.hold_back()
    assert desk.resumed == 0
    if deaf:
        desk.gate = False
        desk.publications.update()
    else:
        desk.lose()
    assert desk.resumed == 1
    desk.publications.update()
    assert desk.resumed == 1, "once is enough"


async def test_nobody_goes_on_when_redis_goes_away_while_the_share_is_used_up() -> None:
    desk, source, outcomes = Desk(buffer_bytes=4000), RecordingSource(), Outcomes()
    desk.gate = False
    desk.connect()
    while not desk.publications.congested:
        desk.publications.publish(pack("PUBLISH", "c", "x" * 450), source, outcomes)
    desk.lose()
    assert desk.publications.congested
    assert desk.resumed == 0


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


async def test_replies_are_settled_also_when_an_unexpected_one_follows() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    desk.say(source, "1")
    await tick()
    desk.answer(b"-NOPERM no\r\n", ONE)
    assert [type(error) for error in source.errors] == [PublishRefused]
    assert link.aborted == ["unexpected reply: 1"]
    assert not any(desk.publications.buffered.values())


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


@pytest.mark.parametrize("reply", [b"+OK\r\n", b"$-1\r\n", b"*2\r\n:1\r\n:7\r\n"])
async def test_a_reply_that_is_no_number_is_no_refusal(reply: bytes) -> None:
    """Redis has taken the command, and what came of it can't be told: the delivery is unknown."""
    desk, client, back_end, outcomes = Desk(), RecordingSource(), RecordingSource(Share.BACK_ENDS), Outcomes()
    link = desk.connect()
    desk.say(client, "1")
    desk.publications.publish(pack("PUBLISH", "c", "2"), back_end, outcomes)
    desk.publications.publish(pack("PUBLISH", "c", "3"), back_end, outcomes)
    await tick()
    desk.answer(ONE, reply, ONE)
    assert len(link.aborted) == 1
    assert link.aborted[0].startswith("unexpected reply: ")
    desk.lose()
    assert client.errors == []
    assert [type(error) for error in outcomes.errors] == [DeliveryUnknown, DeliveryUnknown]
    assert desk.counters.publish_failures == {"DELIVERY_UNKNOWN": 2}
    assert (desk.counters.bus_errors, desk.counters.messages_published) == (0, 1)
    assert not any(desk.publications.buffered.values())


async def test_pings_keep_their_place_among_the_replies() -> None:
    desk, source, link = Desk(), RecordingSource(), HandLink()
    link = desk.connect()
    desk.say(source, "1")
    await tick()
    desk.say(source, "2")
    desk.publications.send_heartbeat(cast(Link, link))
    await tick()
    assert link.written[1:] == [PING, pack("PUBLISH", "c", "2")]
    desk.answer(ONE, b"+PONG\r\n", b"-ERR second\r\n")
    assert desk.counters.messages_published == 1
    assert len(source.errors) == 1


async def test_a_refused_question_is_not_taken_for_the_refusal_of_a_message() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    desk.publications.heartbeat.sent_at = 1.0
    desk.say(source, "1")
    await tick()
    desk.publications.send_heartbeat(cast(Link, link))
    desk.say(source, "2")
    await tick()
    desk.answer(ONE, b"-MISCONF can't save\r\n", ONE)
    assert source.errors == []
    assert link.aborted == []
    assert (desk.counters.messages_published, desk.counters.bus_errors) == (2, 1)
    assert not desk.publications.heartbeat.sent_at
    assert desk.publications.heartbeat.answered_until == 1.0


async def test_a_replica_is_noticed_by_the_next_question() -> None:
    desk = Desk()
    link = desk.connect()
    link.server = Server(role="master")
    for role in (b"master", b"replica"):
        desk.publications.heartbeat.sent_at, until = 1.0, desk.publications.heartbeat.answered_until
        desk.publications.send_heartbeat(cast(Link, link))
        assert link.written[-1] == pack("HELLO")
        assert desk.demotions == 0
        desk.answer(b"*2\r\n$4\r\nrole\r\n$%d\r\n%b\r\n" % (len(role), role))
    assert desk.demotions == 1
    assert desk.publications.heartbeat.answered_until == until == 1.0, "what a replica says proves nothing"


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


async def test_an_instance_has_so_few_attributes_that_they_share_their_keys() -> None:
    """From the 30th on, CPython 3.11 gives each instance a dictionary of its own, which is slower to read."""
    assert len(vars(Desk().publications)) <= 29


async def test_each_receipt_tells_the_outcome_of_its_message() -> None:
    desk, source = Desk(), RecordingSource(Share.BACK_ENDS)
    outcomes = Outcomes()
    desk.connect()
    for payload in (b"taken", b"refused", b"lost"):
        desk.publications.publish(pack("PUBLISH", "c", payload), source, outcomes)
    await tick()
    desk.answer(b":3\r\n", b"-NOPERM no\r\n")
    assert source.errors == []  # the refusal concerns one message, and its receipt says it
    desk.publications.publish(pack("PUBLISH", "c", b"waits"), source, outcomes)
    desk.lose()
    assert outcomes.heard == [3]
    assert [type(error) for error in outcomes.errors] == [PublishRefused, DeliveryUnknown, BusUnavailable]
    assert [type(error) for error in source.errors] == [DeliveryUnknown]
    assert not any(desk.publications.buffered.values())

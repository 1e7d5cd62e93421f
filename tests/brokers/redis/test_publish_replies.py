"""What Redis answers to messages, and to questions among them."""

from __future__ import annotations

from typing import cast

import pytest

from relay.brokers.redis.link import Link, pack
from relay.brokers.redis.server import Server
from relay.brokers.redis.supervised_link import PING
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishRefused
from tests.brokers.recording import Outcomes, RecordingSource
from tests.brokers.redis.publication_desk import ONE, Desk, HandLink, tick


async def test_replies_are_settled_also_when_an_unexpected_one_follows() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    desk.say(source, "1")
    await tick()
    desk.answer(b"-NOPERM no\r\n", ONE)
    assert [type(error) for error in source.errors] == [PublishRefused]
    assert link.aborted == ["unexpected reply: 1"]
    assert not any(desk.publications.buffered.values())


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

"""Several messages that one call publishes."""

from __future__ import annotations

import pytest

from relay.brokers.redis.announcement import pack_announcement
from relay.brokers.redis.call_replies import REFUSED_WITH_OTHERS
from relay.brokers.redis.durability import Durability
from relay.brokers.redis.link import pack
from relay.brokers.redis.script_calls import (
    BULK,
    CHANNEL_WORK,
    MESSAGE_WORK,
    MOST_BYTES,
    MOST_WORK,
    ScriptedChannel,
    gather,
    pack_call,
    pack_question,
)
from relay.brokers.redis.scripting import Scripting
from relay.brokers.shares import Share
from relay.errors import PublishRefused
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from tests.brokers.recording import Outcomes, RecordingSource
from tests.brokers.redis.publication_desk import Desk, tick
from tests.brokers.redis.scripted_messages import LOADED, ONE, SCRIPTS, answer, answer_all, call, say, scripted, written


async def test_the_messages_of_a_channel_are_one_call_up_to_a_plain_message() -> None:
    desk, source, outcomes = Desk(), RecordingSource(), Outcomes()
    link = desk.connect()
    for name in ("1", "2"):
        say(desk, name, source, outcomes, channel="a")
    desk.say(source, "plain")
    for name in ("3", "4"):
        say(desk, name, source, channel="a")
    say(desk, "5", source, channel="b")
    await tick()
    middle = desk.scripting.middle
    calls = [[call("1", "a"), call("2", "a")], [call("3", "a"), call("4", "a")], [call("5", "b")]]
    first, second, third = (pack_call(one, middle) for one in calls)
    assert link.written == [first + pack("PUBLISH", "c", "plain") + second + third]
    desk.answer(answer_all([1, 3], 7), ONE)
    assert (outcomes.heard, outcomes.positions) == ([1, 3], [Position("e", 7), Position("e", 8)])
    assert desk.counters.messages_published == 3
    desk.answer(answer_all([1, 1], 9), answer(1))
    assert desk.counters.messages_published == 6
    assert not any(desk.publications.buffered.values())


async def test_channels_share_a_call_where_redis_takes_that() -> None:
    desk, source, outcomes = Desk(), RecordingSource(), Outcomes()
    link = desk.connect()
    desk.scripting.merges = True
    for name, channel in (("1", "a"), ("2", "b"), ("3", "a")):
        say(desk, name, source, outcomes, channel=channel)
    await tick()
    calls = [call("1", "a"), call("2", "b"), call("3", "a")]
    assert link.written == [pack_call(calls, desk.scripting.middle)]
    desk.answer(answer_all([1, 0, 2], 7, 20))
    assert outcomes.heard == [1, 0, 2]
    assert outcomes.positions == [Position("e", 7), Position("e", 20), Position("e", 8)]


@pytest.mark.parametrize("merges", [False, True])
async def test_a_channel_is_opened_once_in_a_call_also_when_it_was_forgotten_meanwhile(merges: bool) -> None:
    """The broker knows only so many channels at a time; opened twice, it would give out the same offset twice."""
    desk, source, outcomes = Desk(), RecordingSource(), Outcomes()
    link = desk.connect()
    desk.scripting.merges = merges
    again = ScriptedChannel(SCRIPTS, "relay:", "a", ChannelOptions(history_size=7))
    say(desk, "1", source, outcomes, channel="a")
    desk.publications.publish(again.call(BULK % (1, b"2"), None), source, outcomes)
    await tick()
    assert link.written == [pack_call([call("1", "a"), call("2", "a")], desk.scripting.middle)]
    desk.answer(answer_all([1, 1], 7))
    assert outcomes.positions == [Position("e", 7), Position("e", 8)]


async def test_a_message_that_is_refused_alone_fails_alone() -> None:
    desk, clients, back_end, outcomes = Desk(), RecordingSource(), RecordingSource(Share.BACK_ENDS), Outcomes()
    link = desk.connect()
    desk.scripting.merges = True
    say(desk, "1", back_end, outcomes, channel="a")
    say(desk, "2", clients, channel="b")
    say(desk, "3", back_end, outcomes, channel="b")
    say(desk, "4", back_end, outcomes, channel="a")
    await tick()
    desk.answer(answer_all([1, b"-NOPERM no\r\n", b"-NOPERM no\r\n", 1], 7, 0))
    assert outcomes.positions == [Position("e", 7), Position("e", 8)]
    assert [type(error) for error in (*outcomes.errors, *clients.errors)] == [PublishRefused] * 2
    assert (desk.counters.messages_published, desk.counters.bus_errors) == (2, 2)
    assert not any(desk.publications.buffered.values())
    assert link.aborted == []


async def test_each_publisher_learns_why_its_own_message_is_refused() -> None:
    desk, back_end, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    client, other = RecordingSource(), RecordingSource()
    desk.connect()
    desk.scripting.merges = True
    for name, source in (("a", back_end), ("b", back_end), ("a", client), ("b", client), ("b", other)):
        say(desk, name, source, outcomes if source is back_end else None)
    await tick()
    say(desk, "later", client)
    no, full = b"-NOPERM no\r\n", b"-OOM full\r\n"
    desk.answer(answer_all([no, full, no, full, full], 0, 0))
    assert [str(error).rpartition(": ")[2] for error in outcomes.errors] == ["NOPERM no", "OOM full"]
    assert [str(error).rpartition(": ")[2] for error in client.errors] == ["NOPERM no"], "the first one, once"
    assert [str(error).rpartition(": ")[2] for error in other.errors] == ["OOM full"]
    assert desk.counters.publish_failures == {"PUBLISH_REFUSED": 6}


@pytest.mark.parametrize("error", ["NOPERM no access to one of the keys", "CROSSSLOT Keys in request don't hash"])
async def test_channels_that_are_refused_together_are_written_apart(error: str) -> None:
    desk, source, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    link = desk.connect()
    desk.scripting.merges = True
    for name in ("1", "2"):
        say(desk, name, source, outcomes)
    await tick()
    link.written.clear()
    desk.answer(f"-{error}\r\n".encode())
    assert link.written == [*(script.load for script in SCRIPTS), written(desk, "1", "2")]
    desk.answer(LOADED, f"-{error}\r\n".encode(), answer(1))
    assert [type(failed) for failed in outcomes.errors] == [PublishRefused]
    assert outcomes.positions == [Position("e", 1)]
    for name in ("3", "4"):
        say(desk, name, source, outcomes)
    link.written.clear()
    await tick()
    assert link.written == [written(desk, "3", "4")]


async def test_who_was_refused_together_with_others_and_overtaken_is_told_so() -> None:
    desk, source, other, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), RecordingSource(), Outcomes()
    desk.connect()
    desk.scripting.merges = True
    say(desk, "forbidden", other)
    say(desk, "1", source, outcomes)
    await tick()
    say(desk, "2", source, outcomes)
    await tick()
    desk.answer(b"-NOPERM no access to one of the keys\r\n", answer(1))
    assert [str(error).endswith(REFUSED_WITH_OTHERS) for error in outcomes.errors] == [True]
    assert outcomes.heard == [2]


async def test_it_is_remembered_over_links_that_channels_are_refused_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Otherwise one client that publishes to a forbidden channel would disturb all others after each link."""
    asked: list[bytes] = []
    announcement = pack_announcement("relay:", Namespaces(ChannelOptions(history_size=7)))
    scripting = Scripting(b"PUBLISH", "relay:", announcement, Durability())
    question = pack_question(SCRIPTS, "relay:")
    for expected in (True, False):
        asked.clear()
        scripting.begin(lambda command, answered: asked.append(command), lambda: None)
        assert (question in asked) is expected
        scripting.refuse_merging("NOPERM no access to one of the keys")
        assert not scripting.merges
    assert caplog.text.count("channels published apart") == 1


async def test_a_call_is_bounded() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    most = MOST_WORK - CHANNEL_WORK
    for number in range(most + 1):
        say(desk, str(number), source, channel="a")
    await tick()
    assert link.written[0].count(b"EVALSHA") == 2
    large = "x" * (MOST_BYTES // 2)
    for name in (large, large, "x"):
        say(desk, name, source, channel="a")
    await tick()
    assert link.written[1].count(b"EVALSHA") == 2
    size = len(desk.publications._queue.pending)
    desk.answer(answer_all([1] * most, 1), answer(2), answer(3), answer_all([1, 1], 4))
    assert (size, desk.counters.messages_published) == (most + 4, most + 4)


def test_channels_of_a_call_count_as_well() -> None:
    options = ChannelOptions(history_size=7)
    channels = [ScriptedChannel(SCRIPTS, "relay:", f"h:{number}", options) for number in range(200)]
    calls = [channel.call(BULK % (1, b"x"), None) for channel in channels]
    most = MOST_WORK // (MESSAGE_WORK + CHANNEL_WORK)
    assert most <= 255, "the number of a channel is one byte"
    assert [len(batch) for batch in gather(calls, True)] == [most, 200 - most]
    assert [len(batch) for batch in gather(calls[:3], False)] == [1, 1, 1]
    turns = [calls[number % 2] for number in range(1000)]
    batches = list(gather(turns, True))
    assert [call for batch in batches for call in batch] == turns
    most = MOST_WORK - 2 * CHANNEL_WORK
    assert [len(batch) for batch in batches] == [most, most, 1000 - 2 * most]


async def test_a_message_with_an_idempotency_key_has_a_call_of_its_own() -> None:
    desk, source, outcomes = Desk(), RecordingSource(), Outcomes()
    link = desk.connect()
    calls = [call("1", "a"), scripted("a").call(BULK % (1, b"2"), "k"), call("3", "a")]
    for one in calls:
        desk.publications.publish(one, source, outcomes)
    await tick()
    middle = desk.scripting.middle
    assert link.written == [b"".join(pack_call([one], middle) for one in calls)]

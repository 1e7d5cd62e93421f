"""What becomes of calls of scripts on their way to Redis, step by step, on a link made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

import hiredis
import pytest

from relay.brokers.redis.announcement import pack_announcement
from relay.brokers.redis.call_replies import FORGOTTEN, REFUSED_WITH_OTHERS
from relay.brokers.redis.durability import Durability
from relay.brokers.redis.link import pack
from relay.brokers.redis.publish_queue import PendingPublish
from relay.brokers.redis.script_calls import (
    BULK,
    CHANNEL_WORK,
    MESSAGE_WORK,
    MOST_BYTES,
    MOST_WORK,
    ScriptCall,
    ScriptedChannel,
    gather,
    pack_call,
    pack_primary,
    pack_question,
)
from relay.brokers.redis.scripting import LOADS_IN_VAIN, MERGE_AGAIN_SECONDS, Scripting
from relay.brokers.redis.scripts import hash_key, keys_of, publish_scripts
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishRefused
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from tests.brokers.recording import Outcomes, RecordingSource
from tests.brokers.redis.test_publications import Desk, tick

SCRIPTS = publish_scripts(b"PUBLISH")
LOADED = b"$3\r\nsha\r\n" * 2
NO_SCRIPT = b"-NOSCRIPT No matching script.\r\n"
ONE = b":1\r\n"


@cache
def scripted(channel: str) -> ScriptedChannel:
    return ScriptedChannel(SCRIPTS, "relay:", channel, ChannelOptions(history_size=7))


def call(name: str, channel: str | None = None) -> ScriptCall:
    """Return the call that publishes a message to a channel, or to one of its own."""
    return scripted(channel or name).call(BULK % (len(name), name.encode()), None)


def say(
    desk: Desk, name: str, source: RecordingSource, receipt: Outcomes | None = None, channel: str | None = None
) -> None:
    """Publish by a script."""
    desk.publications.publish(call(name, channel), source, receipt)


def written(desk: Desk, *names: str) -> bytes:
    """Return the calls of messages, each alone in a channel of its own."""
    return b"".join(pack_call([call(name)], desk.scripting.middle) for name in names)


def answer(offset: int, repeated: int = 0, primary: str = "") -> bytes:
    return answer_all([2], offset, repeated=repeated, primary=primary)


def answer_all(results: list[int | bytes], *offsets: int, repeated: int = 0, primary: str = "") -> bytes:
    """Return the answer to a call: a number or an error for each message, and the first offset of each channel."""
    told = b"".join(b":%d\r\n" % result if isinstance(result, int) else result for result in results)
    places = b"".join(b"$1\r\ne\r\n:%d\r\n" % offset for offset in offsets)
    head = b":%d\r\n" % repeated + BULK % (len(primary), primary.encode())
    return b"*%d\r\n" % (3 + 2 * len(offsets)) + head + b"*%d\r\n" % len(results) + told + places


def test_a_call_is_one_whole_command() -> None:
    keys = keys_of("relay:", "h:c")
    options = ChannelOptions(history_size=7, history_ttl=1.5, history_bytes=99)
    channel = ScriptedChannel(SCRIPTS, "relay:", "h:c", options)
    for key, repeat in ((None, []), ("k", [keys.repeat + hash_key("k")])):
        made = channel.call(BULK % (3, b"%b%"), key)
        command = _parse(pack_call([made], pack_primary(b"p")))
        assert command[:3] == [b"EVALSHA", SCRIPTS.positioned.sha.encode(), b"%d" % (2 + len(repeat))]
        assert command[3 : 5 + len(repeat)] == [b"relay:{h:c}:position", b"relay:{h:c}:history", *repeat]
        _, order, kinds, primary, size, ttl, limit, lifetime, pause, channel_name, envelope = command[5 + len(repeat) :]
        assert (order, kinds) == (b"\1", b"\1")
        assert (channel_name, size, ttl, limit) == (b"relay:h:c", b"7", b"1687", b"99")
        assert (primary, pause, envelope) == (b"p", b"187", b"%b%")
        assert int(lifetime) == 8 * 24 * 3600
    once = ScriptedChannel(SCRIPTS, "relay:", "c", ChannelOptions()).call(BULK % (1, b"x"), "k")
    repeat_key = b"relay:{c}:repeat:" + hash_key("k")
    assert _parse(pack_call([once], b"never seen")) == [
        *(b"EVALSHA", SCRIPTS.once.sha.encode(), b"1", repeat_key, b"relay:c", b"x")
    ]


def test_a_position_lives_as_long_as_the_messages() -> None:
    options = ChannelOptions(history_size=1, history_ttl=30 * 24 * 3600)
    made = ScriptedChannel(SCRIPTS, "relay:", "c", options).call(BULK % (1, b"x"), None)
    command = _parse(pack_call([made], pack_primary(b"")))
    assert int(command[12]) > 30 * 24 * 3600


@pytest.mark.parametrize("name", ["a", "a}:repeat:b", "}", "{", "{}", "日本"])
def test_no_two_channels_share_a_key(name: str) -> None:
    """Whoever chooses an idempotency key must not choose a key of Redis."""
    others = {*keys_of("relay:", "a}")[:2], *keys_of("relay:", "x")[:2], keys_of("relay:", "a").repeat + hash_key("b")}
    mine = {*keys_of("relay:", name)[:2], keys_of("relay:", name).repeat + hash_key("k")}
    assert len(mine) == 3
    assert not mine & others
    assert hash_key("b}:position") != hash_key("b}:history")
    assert {len(hash_key(key)) for key in ("", "\ud800", "x" * 10_000)} == {32}


async def test_calls_are_completed_when_they_are_written_in_order_with_the_others() -> None:
    desk, source, outcomes = Desk(), RecordingSource(), Outcomes()
    desk.say(source, "1")
    say(desk, "2", source, outcomes)
    desk.say(source, "3")
    link = desk.connect()
    assert link.written == [pack("PUBLISH", "c", "1") + written(desk, "2") + pack("PUBLISH", "c", "3")]
    desk.answer(ONE, answer(7, primary="other"), ONE)
    assert (outcomes.heard, outcomes.positions, outcomes.repeated) == ([2], [Position("e", 7)], [False])
    assert desk.counters.messages_published == 3
    say(desk, "4", source, outcomes)
    await tick()
    assert b"other" in desk.scripting.middle
    assert link.written[1:] == [written(desk, "4")]
    desk.answer(answer(7, repeated=1))
    assert outcomes.repeated == [False, True]
    assert (desk.counters.messages_published, desk.counters.messages_repeated) == (3, 1)
    assert not any(desk.publications.buffered.values())


@pytest.mark.parametrize("key", [None, "k"])
async def test_all_that_will_be_written_counts_for_the_buffer(key: str | None) -> None:
    desk, source = Desk(), RecordingSource(Share.BACK_ENDS)
    link = desk.connect()
    channel = ScriptedChannel(SCRIPTS, "relay:", "h:" + "c" * 100, ChannelOptions(history_size=7))
    desk.scripting.primary_is(b"p" * 40)
    desk.publications.publish(channel.call(BULK % (1, b"x"), key), source, Outcomes())
    await tick()
    assert desk.publications.buffered[Share.BACK_ENDS] == len(link.written[0])


async def test_calls_that_found_no_script_are_written_again_before_all_others() -> None:
    desk, source, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    link = desk.connect()
    for name in ("1", "2"):
        say(desk, name, source, outcomes)
    desk.say(source, "between")
    say(desk, "3", source)
    await tick()
    link.written.clear()
    desk.answer(NO_SCRIPT)
    say(desk, "4", source, outcomes)
    await tick()
    assert link.written == [], "nothing may overtake them"
    assert not desk.publications.passing
    assert source in desk.publications.unsettled()
    desk.answer(NO_SCRIPT, ONE)
    assert link.written == []
    desk.answer(NO_SCRIPT)
    assert link.written == [*(script.load for script in SCRIPTS), written(desk, "1", "2", "3", "4")]
    desk.answer(LOADED, answer(1), answer(2), answer(3), answer(4))
    assert [position.offset for position in outcomes.positions if position] == [1, 2, 4]
    assert (source.errors, outcomes.errors) == ([], [])
    assert not any(desk.publications.buffered.values())
    assert desk.publications.passing
    assert desk.counters.bus_errors == 0


async def test_heartbeats_keep_their_place_among_them() -> None:
    desk, source, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    link = desk.connect()
    say(desk, "1", source, outcomes)
    await tick()
    desk.publications.send_heartbeat(link)  # type: ignore[arg-type]  # made by hand
    desk.answer(NO_SCRIPT)
    desk.publications.send_heartbeat(link)  # type: ignore[arg-type]
    desk.answer(b"+PONG\r\n", b"+PONG\r\n")
    desk.answer(LOADED, answer(1))
    assert outcomes.heard == [2]
    assert link.aborted == []


async def test_the_drain_waits_for_them() -> None:
    desk, source, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    desk.connect()
    say(desk, "1", source, outcomes)
    await tick()
    desk.answer(NO_SCRIPT)
    draining = tick_task(desk)
    say(desk, "2", source, outcomes)
    await tick()
    assert not draining.done()
    desk.answer(LOADED, answer(1), answer(2))
    await draining


async def test_a_lost_link_leaves_their_delivery_unknown() -> None:
    """They were refused, and it isn't worth telling apart."""
    desk, source, other = Desk(), RecordingSource(Share.BACK_ENDS), RecordingSource()
    outcomes = Outcomes()
    desk.connect()
    say(desk, "1", source, outcomes)
    say(desk, "2", other)
    await tick()
    desk.answer(NO_SCRIPT)
    say(desk, "3", source, outcomes)
    desk.lose()
    assert [type(error) for error in outcomes.errors] == [DeliveryUnknown, BusUnavailable]
    assert [type(error) for error in (*source.errors, *other.errors)] == [DeliveryUnknown] * 2
    assert not any(desk.publications.buffered.values())
    link = desk.connect()
    assert desk.publications.passing
    say(desk, "4", source, outcomes)
    await tick()
    assert len(link.written) == 1
    desk.answer(answer(1))
    assert outcomes.heard == [2]


async def test_what_a_failing_source_has_held_is_dropped() -> None:
    desk, source = Desk(), RecordingSource()
    desk.connect()
    say(desk, "1", source)
    desk.say(source, "2")
    await tick()
    desk.answer(NO_SCRIPT)
    desk.answer(b"-NOPERM no\r\n")
    assert [type(error) for error in source.errors] == [PublishRefused]
    assert not any(desk.publications.buffered.values())
    assert desk.publications.unsettled() == set()
    assert desk.publications.passing


@pytest.mark.parametrize("share", [Share.BACK_ENDS, Share.CLIENTS])
async def test_a_call_that_a_later_one_has_overtaken_fails(share: Share) -> None:
    """Another gateway has loaded the script meanwhile; the order of a source is worth more than its message."""
    desk, source, outcomes = Desk(), RecordingSource(share), Outcomes()
    receipt = outcomes if share is Share.BACK_ENDS else None
    link = desk.connect()
    for name in ("1", "2"):
        say(desk, name, source, receipt)
    await tick()
    link.written.clear()
    desk.answer(NO_SCRIPT, answer(1))
    failures = outcomes.errors if receipt else source.errors
    assert [type(error) for error in failures] == [PublishRefused]
    assert str(failures[0]).endswith(FORGOTTEN)
    assert outcomes.heard == ([2] if receipt else [])
    assert link.written == []
    assert not any(desk.publications.buffered.values())
    assert desk.publications.unsettled() == set()
    assert desk.publications.passing


async def test_calls_of_other_sources_overtake_nothing() -> None:
    desk, here, there, outcomes = Desk(), RecordingSource(), RecordingSource(), Outcomes()
    link = desk.connect()
    say(desk, "1", here, outcomes)
    say(desk, "2", there)
    await tick()
    link.written.clear()
    desk.answer(NO_SCRIPT, answer(1))
    assert len(link.written) == 3, "the scripts are loaded, and it is written again"
    desk.answer(LOADED, answer(2))
    assert (outcomes.heard, outcomes.errors) == ([2], [])


async def test_scripts_that_cannot_be_loaded_refuse(caplog: pytest.LogCaptureFixture) -> None:
    desk, source, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    desk.connect()
    say(desk, "1", source, outcomes)
    await tick()
    desk.answer(NO_SCRIPT)
    desk.answer(b"-NOPERM load\r\n" * 2, NO_SCRIPT)
    assert [type(error) for error in outcomes.errors] == [PublishRefused]
    assert caplog.text.count("scripts refused") == 1


async def test_scripts_that_are_never_found_refuse_in_the_end() -> None:
    """A proxy in front of several Redis may load them at one and call them at another."""
    desk, source, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    desk.connect()
    say(desk, "1", source, outcomes)
    await tick()
    desk.answer(NO_SCRIPT)
    for _ in range(LOADS_IN_VAIN):
        assert outcomes.errors == []
        desk.answer(LOADED, NO_SCRIPT)
    assert [type(error) for error in outcomes.errors] == [PublishRefused]


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


async def test_channels_that_are_refused_together_are_tried_together_again_after_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not with each new link: one client that publishes to a forbidden channel would disturb all others each time."""
    caplog.set_level("INFO", "relay")
    asked: dict[bytes, Callable[[Any], None]] = {}
    announcement = pack_announcement("relay:", Namespaces(ChannelOptions(history_size=7)))
    now = 0.0
    scripting = Scripting(b"PUBLISH", "relay:", announcement, Durability(), clock=lambda: now)
    question = pack_question(SCRIPTS, "relay:")

    def begin() -> bool:
        asked.clear()
        scripting.begin(asked.__setitem__, lambda: None)
        return question in asked

    def remind() -> bool:
        asked.clear()
        scripting.remind(asked.__setitem__)
        return question in asked

    assert [begin(), begin()] == [True, True]
    asked[question]([])
    first, most = MERGE_AGAIN_SECONDS
    for pause in (first, 2 * first, 4 * first):
        for _ in range(2):  # two calls were under way
            scripting.refuse_merging("NOPERM no access to one of the keys")
        assert not scripting.merges
        now += pause - 1
        assert [begin(), remind()] == [False, False]
        now += 1
        assert [remind(), remind()] == [True, False]
        assert not scripting.merges
        scripting.begin(asked.__setitem__, lambda: None)
        now += pause * 2
        assert remind()
        asked[question]([])
        assert scripting.merges
    said = [text.split(" error")[0] for text in caplog.messages if "published" in text]
    assert said == ["channels published apart", "channels published together again"] * 3
    for _ in range(10):
        scripting.refuse_merging("NOPERM")
        now += most
        assert remind()
        asked[question]([])


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


@pytest.mark.parametrize("reply", [b"*0\r\n", ONE, b"+OK\r\n", answer_all([1], 1)])
async def test_a_reply_that_fits_no_call_leaves_delivery_unknown(reply: bytes) -> None:
    desk, source, outcomes = Desk(), RecordingSource(Share.BACK_ENDS), Outcomes()
    link = desk.connect()
    for name in ("1", "2"):
        say(desk, name, source, outcomes, channel="a")
    await tick()
    desk.answer(reply)
    assert link.aborted
    desk.lose()
    assert [type(error) for error in outcomes.errors] == [DeliveryUnknown] * 2
    assert not any(desk.publications.buffered.values())


async def test_a_list_answers_no_plain_message() -> None:
    desk, source = Desk(), RecordingSource()
    link = desk.connect()
    desk.say(source, "1")
    await tick()
    desk.answer(answer(1))
    assert link.aborted
    assert type(desk.publications._queue.pending[0]) is PendingPublish


def tick_task(desk: Desk) -> asyncio.Task[None]:
    return asyncio.create_task(desk.publications.drain())


def _parse(command: bytes) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(command)
    parsed = reader.gets()
    assert isinstance(parsed, list)
    assert reader.gets() is False
    return parsed

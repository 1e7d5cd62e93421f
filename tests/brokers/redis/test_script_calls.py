"""What becomes of calls of scripts on their way to Redis, step by step, on a link made by hand."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers.redis.call_replies import FORGOTTEN
from relay.brokers.redis.link import pack
from relay.brokers.redis.publish_queue import PendingPublish
from relay.brokers.redis.script_calls import BULK, ScriptedChannel, pack_call, pack_primary
from relay.brokers.redis.scripting import LOADS_IN_VAIN
from relay.brokers.redis.scripts import hash_key, keys_of
from relay.brokers.shares import Share
from relay.errors import BusUnavailable, DeliveryUnknown, PublishRefused
from relay.namespaces import ChannelOptions
from relay.position import Position
from tests.brokers.recording import Outcomes, RecordingSource
from tests.brokers.redis.publication_desk import Desk, tick
from tests.brokers.redis.scripted_messages import (
    LOADED,
    NO_SCRIPT,
    ONE,
    SCRIPTS,
    answer,
    answer_all,
    parse,
    say,
    written,
)


def test_a_call_is_one_whole_command() -> None:
    keys = keys_of("relay:", "h:c")
    options = ChannelOptions(history_size=7, history_ttl=1.5, history_bytes=99)
    channel = ScriptedChannel(SCRIPTS, "relay:", "h:c", options)
    for key, repeat in ((None, []), ("k", [keys.repeat + hash_key("k")])):
        made = channel.call(BULK % (3, b"%b%"), key)
        command = parse(pack_call([made], pack_primary(b"p")))
        assert command[:3] == [b"EVALSHA", SCRIPTS.positioned.sha.encode(), b"%d" % (2 + len(repeat))]
        assert command[3 : 5 + len(repeat)] == [b"relay:{h:c}:position", b"relay:{h:c}:history", *repeat]
        _, order, kinds, primary, size, ttl, limit, lifetime, pause, channel_name, envelope = command[5 + len(repeat) :]
        assert (order, kinds) == (b"\1", b"\1")
        assert (channel_name, size, ttl, limit) == (b"relay:h:c", b"7", b"1687", b"99")
        assert (primary, pause, envelope) == (b"p", b"187", b"%b%")
        assert int(lifetime) == 8 * 24 * 3600
    once = ScriptedChannel(SCRIPTS, "relay:", "c", ChannelOptions()).call(BULK % (1, b"x"), "k")
    repeat_key = b"relay:{c}:repeat:" + hash_key("k")
    assert parse(pack_call([once], b"never seen")) == [
        *(b"EVALSHA", SCRIPTS.once.sha.encode(), b"1", repeat_key, b"relay:c", b"x")
    ]


def test_a_position_lives_as_long_as_the_messages() -> None:
    options = ChannelOptions(history_size=1, history_ttl=30 * 24 * 3600)
    made = ScriptedChannel(SCRIPTS, "relay:", "c", options).call(BULK % (1, b"x"), None)
    command = parse(pack_call([made], pack_primary(b"")))
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

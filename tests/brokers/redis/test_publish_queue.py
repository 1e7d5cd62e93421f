"""Messages that wait for Redis: whose they are, how much room they have, and who is paused meanwhile."""

from __future__ import annotations

import pytest

from relay.brokers.redis.link import pack
from relay.brokers.redis.publish_queue import HIGH_WATER_BYTES, LOW_WATER_BYTES
from relay.brokers.shares import Share
from relay.errors import PublishBufferFull
from tests.brokers.recording import Outcomes, RecordingSource
from tests.brokers.redis.publication_desk import ONE, Desk, tick
from tests.harness.conditions import wait_until


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

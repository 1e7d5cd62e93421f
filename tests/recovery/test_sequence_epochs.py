"""A channel whose epoch changes: what belongs to which, and what is told again."""

from __future__ import annotations

import pytest

from relay.brokers.history import MAX_PAGE
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.sequence import State
from tests.recovery.scene import OPENED, OVERTAKEN, Scene, check_end, played_on

STALE = (*OVERTAKEN, "answer stale", "arrive")
"""A message of another epoch has come, and then a reading that says that there is none."""


def test_a_stale_reading_doesnt_drop_what_has_come_of_a_new_epoch() -> None:
    scene = Scene(ChannelOptions(history_size=10))
    for act in STALE:
        scene.do(act, 0)
    assert (scene.gateway.told, scene.gateway.sequence.state) == (0, State.FILLING)
    check_end(played_on(scene))
    assert scene.gateway.told == 1


def test_who_gives_up_on_stale_readings_is_told_and_goes_on_in_the_new_epoch() -> None:
    scene = Scene(ChannelOptions(history_size=10))
    for act in (*STALE, "give up", "publish", "hear"):
        scene.do(act, 0)
    assert (scene.gateway.told, scene.gateway.sequence.state) == (1, State.LIVE)
    assert scene.gateway.sequence.position == Position("e2", 3)


def test_a_late_message_of_the_epoch_before_is_dropped() -> None:
    scene = Scene(ChannelOptions(history_size=10))
    acts = [*OPENED, "publish", "flush", "publish", "look", "begin", "answer", "arrive", "begin", "answer", "arrive"]
    for act in [*acts, "hear", "begin", "answer", "arrive"]:
        scene.do(act, 0)
    assert (scene.gateway.told, scene.gateway.sequence.state) == (1, State.LIVE)
    assert scene.gateway.sequence.position == Position("e2", 1)


def test_an_epoch_that_a_stale_reading_has_brought_back_doesnt_end_the_one_behind() -> None:
    scene = Scene(ChannelOptions(history_size=10))
    acts = [*OPENED, "publish", "hear", "fail over", "look"]
    acts += ["begin", "answer", "arrive", "begin", "answer", "arrive", "look"]
    acts += ["begin", "answer stale", "arrive", "begin", "answer stale", "arrive"]
    for act in [*acts, "publish", "hear", "begin", "answer stale", "arrive"]:
        scene.do(act, 0)
    assert (scene.gateway.sequence.position.epoch, scene.gateway.sequence.state) == ("e1", State.FILLING)
    check_end(played_on(scene))


def test_what_was_delivered_before_a_failover_isnt_repeated_behind_it() -> None:
    scene = Scene(ChannelOptions(history_size=MAX_PAGE + 1))
    for act in (*OPENED, "publish", "hear", "publish", "hear", "fail over", "publish", "lose", "gap"):
        scene.do(act, 0)
    (client,) = scene.gateway.clients
    assert client.got == 2
    check_end(played_on(scene))
    assert (client.got, client.told) == (3, 1)


@pytest.mark.parametrize("published", [1, 5])
def test_what_was_delivered_isnt_repeated_behind_a_failover_that_lost_messages(published: int) -> None:
    """The replica lacks two of four messages, so it gives their offsets out again, in another epoch."""
    scene = Scene(ChannelOptions(history_size=MAX_PAGE + 1))
    for act in (*OPENED, *("publish", "hear") * 4):
        scene.do(act, 0)
    (client,) = scene.gateway.clients
    assert client.got == 4
    scene.do("fail over", 2)
    for act in (*("publish",) * published, "gap"):
        scene.do(act, 0)
    check_end(played_on(scene))
    assert (client.got, client.told) == (4 + published, 1)
    assert len(client.payloads) == client.got


def test_what_was_delivered_isnt_repeated_where_nobody_has_written_down_where_the_epoch_began() -> None:
    """So it is while older gateways are still there."""
    scene = Scene(ChannelOptions(history_size=MAX_PAGE + 1), says_began=False)
    for act in (*OPENED, *("publish", "hear") * 4, "fail over", "publish", "gap"):
        scene.do(act, 0)
    check_end(played_on(scene))
    (client,) = scene.gateway.clients
    assert (client.got, client.told) == (5, 1)
    assert len(client.payloads) == client.got


def test_what_was_delivered_isnt_repeated_behind_a_server_that_was_left_and_found_again() -> None:
    scene = Scene(ChannelOptions(history_size=MAX_PAGE + 1))
    for act in (*OPENED, *("publish", "hear") * 3, "fail over", "publish", "hear", "begin", "answer", "arrive"):
        scene.do(act, 0)
    (client,) = scene.gateway.clients
    assert (client.got, client.told) == (4, 1)
    for act in ("gap", "begin", "answer stale", "arrive"):
        scene.do(act, 0)
    check_end(played_on(scene))
    assert len(client.payloads) == client.got == 4


def test_messages_of_an_epoch_that_began_from_nothing_are_all_delivered() -> None:
    scene = Scene(ChannelOptions(history_size=MAX_PAGE + 1))
    for act in (*OPENED, "publish", "hear", "publish", "hear", "flush", "publish", "lose", "gap"):
        scene.do(act, 0)
    (client,) = scene.gateway.clients
    check_end(played_on(scene))
    assert (client.got, client.told) == (3, 1)


def test_an_old_copy_that_comes_back_is_not_delivered_again() -> None:
    """It is of an epoch before the one that was heard last, whose offsets say nothing of it."""
    scene = Scene(ChannelOptions(history_size=MAX_PAGE + 1))
    for act in (*OPENED, *("publish", "hear") * 3):
        scene.do(act, 0)
    copy = scene.bus.top, list(scene.bus.history)
    for act in ("flush", "publish", "hear"):
        scene.do(act, 0)
    check_end(played_on(scene))
    (client,) = scene.gateway.clients
    assert (client.got, client.told) == (4, 1)
    scene.bus.restore(copy)
    for act in ("publish", "hear"):
        scene.do(act, 0)
    check_end(played_on(scene))
    assert (client.got, client.told) == (5, 2)


def test_a_reading_that_was_begun_in_another_epoch_tells_no_hole() -> None:
    scene = Scene(ChannelOptions(history_size=10))
    acts = [*OPENED, "publish", "hear", "publish", "hear", "gap", "begin"]  # since 2
    acts += ["flush", "publish", "hear", "give up", "publish", "lose", "answer", "arrive"]
    for act in acts:
        scene.do(act, 0)
    assert (scene.gateway.told, scene.gateway.sequence.state) == (1, State.FILLING)
    check_end(played_on(scene))
    assert scene.gateway.told == 1

"""Whatever the bus and the history do: each client gets each message once and in order, or is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.namespaces import ChannelOptions
from relay.position import Position
from tests.harness.examples import examples
from tests.recovery.scene import OPENED, Acts, Scene, anything, check_end, harmless, played

rooms = st.sampled_from([1, 3, 1000])


@examples(1000)
@given(anything, st.sampled_from([1, 3, 10, 100]), rooms, st.booleans())
def test_nothing_is_missing_or_doubled_in_silence(acts: Acts, size: int, room: int, says_began: bool) -> None:
    check_end(played(ChannelOptions(history_size=size), acts, room, says_began=says_began))


@examples(1000)
@given(harmless, st.sampled_from([100, 2000]), rooms)
def test_nobody_is_told_while_the_history_has_everything(acts: Acts, size: int, room: int) -> None:
    scene = played(ChannelOptions(history_size=size), acts, room)
    check_end(scene)
    assert scene.gateway.told == 0
    for client in scene.gateway.clients:
        resume = client.resume
        if isinstance(resume, Position):
            assert client.recovered or not client.honest
            assert not client.recovered or (resume.epoch == "e1" and resume.offset <= scene.bus.top.offset)
        elif client.got < resume:
            assert client.got == scene.bus.top.offset, "it got all that there were"


@examples(1000)
@given(anything)
def test_without_messages_kept_clients_are_told_whenever_they_missed_one(acts: Acts) -> None:
    check_end(played(ChannelOptions(positions=True), acts))


@examples(1000)
@given(harmless)
def test_without_messages_kept_nobody_is_told_who_missed_nothing(acts: Acts) -> None:
    scene = played(ChannelOptions(positions=True), acts)
    check_end(scene)
    if not scene.bus.lost:
        assert scene.gateway.told == 0


def test_a_channel_that_was_filled_has_heard_something() -> None:
    scene = Scene(ChannelOptions(history_size=5))
    for act in (*OPENED, "publish", "lose", "gap", "begin", "answer", "arrive"):
        scene.do(act, 0)
    assert scene.gateway.sequence.heard


@pytest.mark.parametrize("size", [0, 5])
def test_the_last_message_is_missed_and_found_by_a_look(size: int) -> None:
    scene = Scene(ChannelOptions(history_size=size, positions=True))
    for act in ("begin", "answer", "arrive", "come", "join", "publish", "hear", "publish", "lose"):
        scene.do(act, 0)
    (client,) = scene.gateway.clients
    assert client.position == Position("e1", 1)
    scene.settle()
    assert client.position == Position("e1", 2)
    assert (client.got, client.told) == ((2, 0) if size else (1, 1))

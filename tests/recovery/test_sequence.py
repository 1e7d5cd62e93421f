"""Whatever the bus and the history do: each client gets each message once and in order, or is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.brokers.history import MAX_PAGE
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.sequence import State
from tests.harness.examples import examples
from tests.recovery.channel_world import Bus, Gateway

HARMLESS = ("publish", "hear", "lose", "gap", "look", "begin", "answer", "fail", "arrive", "come", "join", "forget")
HARMFUL = ("trim", "flush", "fail over", "give up", "expire", "answer stale")

OPENED = ("begin", "answer", "arrive", "come", "join")
"""Opens the channel, and lets a client in."""

Acts = list[tuple[str, int]]

rooms = st.sampled_from([1, 3, 1000])


OVERTAKEN = (*OPENED, "publish", "hear", "fail over", "publish", "hear", "begin")
"""A message of another epoch has come, and the history is read."""


def plays(*acts: str, begin: tuple[str, ...] = OPENED) -> st.SearchStrategy[Acts]:
    """Return orders of acts, most of them on a channel that is open."""
    some = st.lists(st.tuples(st.sampled_from(acts), st.integers(0, 7)), max_size=70)
    return st.tuples(st.sampled_from([OPENED, begin, ()]), some).map(lambda two: [(act, 0) for act in two[0]] + two[1])


harmless, anything = plays(*HARMLESS), plays(*HARMLESS, *HARMFUL, begin=OVERTAKEN)


class Scene:
    """A bus, a gateway, and what they do."""

    def __init__(self, options: ChannelOptions, room: int = 1000, *, says_began: bool = True) -> None:
        self.bus = Bus(options.history_size, says_began=says_began)
        self.gateway = Gateway(self.bus, options, room)

    def do(self, act: str, number: int) -> None:
        """Let one thing happen."""
        bus, gateway = self.bus, self.gateway
        if act == "publish":
            bus.publish()
        elif act == "trim":
            bus.trim(number)
        elif act == "flush":
            bus.flush()
        elif act == "fail over":
            bus.fail_over(number % 3)
        elif act == "lose":
            bus.lose()
        elif act == "expire":
            if gateway.sequence.state is State.LIVE:
                gateway.sequence.expire()
        elif act == "forget":
            gateway.sequence.forget()
        elif act == "come":
            gateway.come(self._resume(number), honest=number < 6)
        else:
            getattr(gateway, act.replace(" ", "_"))()
        gateway.check()

    def _resume(self, number: int) -> Position | int:
        top = self.bus.top
        if number == 7:
            return Position("another", top.offset)
        if number == 6:
            return Position(top.epoch, top.offset + 5)
        return Position(top.epoch, max(0, top.offset - number)) if number % 2 else number

    def settle(self) -> None:
        """Let everything arrive that is on its way, until nothing changes any more."""
        gateway = self.gateway
        for turn in range(12):
            if turn == 6:
                gateway.give_up()  # at the latest
            while self.bus.link:
                gateway.hear()
            gateway.begin()
            gateway.answer()
            gateway.arrive()
            while self.bus.link:
                gateway.hear()
            if gateway.doubts:
                gateway.give_up()
            gateway.join()
            gateway.look()


def played(options: ChannelOptions, acts: Acts, room: int = 1000, *, says_began: bool = True) -> Scene:
    """Return a scene at its end."""
    scene = Scene(options, room, says_began=says_began)
    for act, number in acts:
        scene.do(act, number)
    return played_on(scene)


def played_on(scene: Scene) -> Scene:
    """Return it at its end."""
    scene.settle()
    return scene


def check_end(scene: Scene) -> None:
    """Everybody is at the end of the channel."""
    gateway = scene.gateway
    assert gateway.sequence.state is State.LIVE
    assert gateway.sequence.position == scene.bus.top
    assert gateway.waiting == gateway.asked == []
    for client in gateway.clients:
        assert client.position == scene.bus.top


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


def test_a_channel_that_was_filled_has_heard_something() -> None:
    scene = Scene(ChannelOptions(history_size=5))
    for act in (*OPENED, "publish", "lose", "gap", "begin", "answer", "arrive"):
        scene.do(act, 0)
    assert scene.gateway.sequence.heard


def test_a_reading_that_was_begun_in_another_epoch_tells_no_hole() -> None:
    scene = Scene(ChannelOptions(history_size=10))
    acts = [*OPENED, "publish", "hear", "publish", "hear", "gap", "begin"]  # since 2
    acts += ["flush", "publish", "hear", "give up", "publish", "lose", "answer", "arrive"]
    for act in acts:
        scene.do(act, 0)
    assert (scene.gateway.told, scene.gateway.sequence.state) == (1, State.FILLING)
    check_end(played_on(scene))
    assert scene.gateway.told == 1


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
